import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { recognise } from "../../../lib/events/recognise.ts";
import { requestOf } from "../../setup/call.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { recordedEvents } from "../../setup/recorded-events.ts";

const CONTEXT = lambdaContext();

/** The source that each recorded event belongs to, and the action it asks for: null for none, or a code. */
const EXPECTED: Readonly<Record<string, readonly [string, string | null]>> = {
  "cdk-provider/create": ["cloudformation", "up"],
  "cdk-provider/delete": ["cloudformation", null],
  "cdk-provider/update-without-url": ["cloudformation", "up"],
  "cdk-trigger/empty-payload": ["direct", "up"],
  "cdk-trigger/no-payload": ["direct", "up"],
  "cloudformation/create": ["cloudformation", "up"],
  "cloudformation/delete": ["cloudformation", null],
  "cloudformation/delete-invented-id": ["cloudformation", null],
  "cloudformation/update": ["cloudformation", "up"],
  "codedeploy/before-allow-traffic": ["codedeploy", "up"],
  "codepipeline/job": ["codepipeline", "up"],
  "codepipeline/job-continued": ["codepipeline", "up"],
  "codepipeline/job-with-foreign-token": ["codepipeline", "up"],
  "codepipeline/job-with-json": ["codepipeline", "up"],
  "codepipeline/job-with-text": ["codepipeline", "plan"],
  "codepipeline/job-with-unreadable-text": ["codepipeline", "REQUEST_INVALID"],
  "ecs/pre-production-traffic-shift": ["ecs", "up"],
  "ecs/pre-scale-up": ["ecs", "up"],
  "ecs/pre-scale-up-with-details": ["ecs", "up"],
  "ecs/pre-scale-up-with-wrong-details": ["ecs", "REQUEST_INVALID"],
  "ecs/production-traffic-rollback": ["ecs", null],
  "ecs/production-traffic-shift": ["ecs", "up"],
  "ecs/reconcile-service-flat": ["ecs", "up"],
  "ecs/test-traffic-rollback": ["ecs", null],
  "http/function-url-get-plan": ["http", "plan"],
  "http/function-url-post": ["http", "up"],
  "http/function-url-post-async": ["http", null],
  "http/function-url-post-without-body": ["http", "up"],
  "http/function-url-unknown-path": ["http", "NOT_FOUND"],
  "http/http-api-get-in-stage": ["http", "status"],
  "http/http-api-get-run-in-stage": ["http", null],
  "http/http-api-post-in-stage": ["http", "up"],
  "http/http-api-v1-post-in-stage": ["http", "up"],
  "http/load-balancer-multi-value-get": ["http", "status"],
  "http/load-balancer-multi-value-post-async": ["http", null],
  "http/load-balancer-post": ["http", "up"],
  "http/rest-api-delete": ["http", "METHOD_NOT_ALLOWED"],
  "http/rest-api-get-plan-behind-base-path": ["http", "plan"],
  "http/rest-api-post": ["http", "up"],
  "http/rest-api-post-async": ["http", null],
  "pulumi-sst/invocation": ["direct", "up"],
  "queued-run/event": ["queued-run", "up"],
  "step-functions/request": ["direct", "up"],
  "step-functions/task-token": ["direct", "REQUEST_INVALID"],
  "terraform/create": ["direct", "up"],
  "terraform/create-other-key": ["direct", "up"],
  "terraform/delete": ["direct", null],
  "terraform/delete-other-key": ["direct", null],
  "terraform/update": ["direct", "up"],
};

const asked = async (event: unknown): Promise<readonly [string, string | null]> => {
  const { source } = recognise(event);
  try {
    return [source, (await requestOf(event, CONTEXT))?.action ?? null];
  } catch (thrown) {
    if (thrown instanceof MigratorError) return [source, thrown.code];
    throw thrown;
  }
};

const all = recordedEvents();
const refused = all.filter(({ name }) => name.startsWith("refused/"));

test("every event that is served is recorded, and says what it asks for", async () => {
  const served = all.filter((each) => !refused.includes(each));

  const found = await Promise.all(
    served.map(async ({ name, event }) => [name, await asked(event)]),
  );

  expect(Object.fromEntries(found)).toEqual(EXPECTED);
});

describe("an event of a service that is not served", () => {
  test.each(refused)("is refused, and nothing of it is quoted: $name", async ({ event }) => {
    expect(await asked(event)).toEqual(["unsupported", "UNSUPPORTED_EVENT"]);
    await expect(requestOf(event, CONTEXT)).rejects.toThrow(
      expect.not.objectContaining({ message: expect.stringMatching(/mArKer/i) }),
    );
  });

  test.each([
    ["eventbridge-schedule", "EventBridge"],
    ["sns", "SNS"],
    ["sqs", "SQS"],
    ["s3", "S3"],
  ])("is named in the refusal: %s", async (name, word) => {
    const found = all.find((each) => each.name === `refused/${name}`);

    await expect(requestOf(found?.event, CONTEXT)).rejects.toThrow(word);
  });
});

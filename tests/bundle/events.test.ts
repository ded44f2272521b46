import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import { type ResponseBucket, startBucket } from "../../local/cloudformation/bucket.ts";
import { judge, type ResourceRequest } from "../../local/cloudformation/response.ts";
import { type LocalDeployments, startDeployments } from "../../local/deployments/deployments.ts";
import type { Outcome } from "../../local/lambda/sandbox.ts";
import { accounts } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { type HeldQueue, startHeldQueue } from "../setup/held-queue.ts";
import { expectNoTrace } from "../setup/marker.ts";
import { recordedEvents } from "../setup/recorded-events.ts";
import { expectReport } from "../setup/report-schema.ts";
import { runtimes } from "../setup/runtimes.ts";

/** What one caller got, in the words of the service that called. */
type Told = readonly unknown[];

let database: TestDatabase;
let deployments: LocalDeployments;
let bucket: ResponseBucket;
let queue: HeldQueue;
let deployment: Deployment;

/** What each recorded event of a service is answered, by a function that has nothing left to apply. */
const TOLD: Readonly<Record<string, Told>> = {
  "cdk-provider/create": ["returned", "up-to-date"],
  "cdk-provider/delete": ["returned", "skipped"],
  "cdk-provider/update-without-url": ["returned", "up-to-date"],
  "cdk-trigger/empty-payload": ["report", "up-to-date"],
  "cdk-trigger/no-payload": ["report", "up-to-date"],
  "cloudformation/create": ["put", "SUCCESS", [], "up-to-date"],
  "cloudformation/delete": ["put", "SUCCESS", [], "skipped"],
  "cloudformation/delete-invented-id": ["put", "SUCCESS", [], "skipped"],
  "cloudformation/update": ["put", "SUCCESS", [], "up-to-date"],
  "codedeploy/before-allow-traffic": ["PutLifecycleEventHookExecutionStatus", "Succeeded"],
  "codepipeline/job": ["PutJobSuccessResult", "up-to-date", "0"],
  "codepipeline/job-continued": ["PutJobSuccessResult", "up-to-date", "3"],
  "codepipeline/job-with-foreign-token": ["PutJobSuccessResult", "up-to-date", "0"],
  "codepipeline/job-with-json": ["PutJobSuccessResult", "up-to-date", "0"],
  "codepipeline/job-with-text": ["PutJobSuccessResult", "up-to-date", "0"],
  "codepipeline/job-with-unreadable-text": ["PutJobFailureResult", "ConfigurationError"],
  "ecs/pre-production-traffic-shift": [{ hookStatus: "SUCCEEDED" }],
  "ecs/pre-scale-up": [{ hookStatus: "SUCCEEDED" }],
  "ecs/pre-scale-up-with-details": [{ hookStatus: "SUCCEEDED" }],
  "ecs/pre-scale-up-with-wrong-details": [{ hookStatus: "FAILED" }],
  "ecs/production-traffic-rollback": [{ hookStatus: "SUCCEEDED" }],
  "ecs/production-traffic-shift": [{ hookStatus: "SUCCEEDED" }],
  "ecs/reconcile-service-flat": [{ hookStatus: "SUCCEEDED" }],
  "ecs/test-traffic-rollback": [{ hookStatus: "SUCCEEDED" }],
  "http/function-url-get-plan": [200, "up-to-date"],
  "http/function-url-post": [200, "up-to-date"],
  "http/function-url-post-async": [202, "queued"],
  "http/function-url-post-without-body": [200, "up-to-date"],
  "http/function-url-unknown-path": [404, "failed"],
  "http/http-api-get-in-stage": [200, "up-to-date"],
  "http/http-api-get-run-in-stage": [404, "failed"],
  "http/http-api-post-in-stage": [200, "up-to-date"],
  "http/http-api-v1-post-in-stage": [200, "up-to-date"],
  "http/load-balancer-multi-value-get": [200, "up-to-date"],
  "http/load-balancer-multi-value-post-async": [202, "queued"],
  "http/load-balancer-post": [200, "up-to-date"],
  "http/rest-api-delete": [405, "failed"],
  "http/rest-api-get-plan-behind-base-path": [200, "up-to-date"],
  "http/rest-api-post": [200, "up-to-date"],
  "http/rest-api-post-async": [202, "queued"],
  "pulumi-sst/invocation": ["report", "up-to-date"],
  // No run was begun that it could be about.
  "queued-run/event": ["thrown", "RUN_NOT_FOUND"],
  "step-functions/request": ["report", "up-to-date"],
  "step-functions/task-token": ["thrown", "REQUEST_INVALID"],
  "terraform/create": ["report", "up-to-date"],
  "terraform/create-other-key": ["report", "up-to-date"],
  "terraform/delete": ["nothing"],
  "terraform/delete-other-key": ["nothing"],
  "terraform/update": ["report", "up-to-date"],
};

describe.each(runtimes())("the built function in $name answers every recorded event", (runtime) => {
  beforeAll(async () => {
    database = await createTestDatabase();
    deployments = await startDeployments();
    bucket = await startBucket();
    queue = await startHeldQueue({ functionArn: LOCAL_FUNCTION_ARN });
    deployment = prepareDeployment(
      {
        ...(await database.functionEnvironment()),
        ...{ ...deployments.environment, ...queue.environment },
      },
      { runtime },
    );
    await deployment.deploy(accounts);
    await deployment.deliver({ requestId: "first", event: {} });
  });

  afterAll(async () => {
    await deployment.remove();
    await deployments.stop();
    await bucket.stop();
    await queue.stop();
    await database.close();
  });

  test.each(recordedEvents())("$name", async ({ name, event }) => {
    const sent = withOurBucket(event, name);
    const before = deployments.calls.length;

    const outcome = await deployment.deliver({
      requestId: name.replace("/", "-"),
      event: sent,
    });

    const told = toldBy(outcome, sent, name, before);
    expect(told).toEqual(TOLD[name] ?? ["thrown", "UNSUPPORTED_EVENT"]);
    expectNoTrace(outcome.payload, outcome.logs, deployments.calls.slice(before));
  });

  test("and none is left out", () => {
    const served = recordedEvents().filter(({ name }) => !name.startsWith("refused/"));

    expect(served.map(({ name }) => name)).toEqual(Object.keys(TOLD).toSorted());
  });
});

/** CloudFormation's own bucket is out of reach. */
function withOurBucket(event: unknown, name: string): unknown {
  if (!name.startsWith("cloudformation/")) return event;
  return { ...Object(event), ResponseURL: bucket.presign(name) };
}

function toldBy(outcome: Outcome, event: unknown, name: string, before: number): Told {
  const { payload, functionError } = outcome;
  const answer: Readonly<Record<string, unknown>> = Object(payload);
  if (functionError !== null) return ["thrown", answer.errorType];
  if (name.startsWith("cloudformation/")) return toldToCloudFormation(event, name);
  if (answer.answered === true) return toldByCall(before);
  if (answer.hookStatus !== undefined) return [answer];
  if (answer.statusCode !== undefined) return toldByHttp(answer);
  if (answer.PhysicalResourceId !== undefined)
    return ["returned", Reflect.get(Object(answer.Data), "status")];
  return payload === null ? ["nothing"] : ["report", expectReport(payload).status];
}

function toldByHttp({ statusCode, body }: Readonly<Record<string, unknown>>): Told {
  const told: unknown = JSON.parse(String(body));
  return [statusCode, Reflect.get(Object(told), "state") ?? expectReport(told).status];
}

function toldToCloudFormation(event: unknown, name: string): Told {
  const [put, ...others] = bucket.puts(name);
  expect(others).toEqual([]);
  // The recorded event is what CloudFormation sends; its form is what the test is about.
  const { status, problems, data } = judge(put?.body ?? "", event as ResourceRequest);
  return ["put", status, problems, data.status];
}

function toldByCall(before: number): Told {
  const [call, ...others] = deployments.calls.slice(before);
  expect([others, call?.refusedWith]).toEqual([[], null]);
  const { outputVariables, failureDetails, status } = Object(call?.input);
  if (outputVariables !== undefined)
    return [call?.operation, outputVariables.status, outputVariables.appliedCount];
  return [call?.operation, failureDetails?.type ?? status];
}

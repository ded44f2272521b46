import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { requestOf } from "../../setup/call.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";

const post = (body: unknown, more: object = {}) => ({
  rawPath: "/migrations",
  requestContext: { http: { method: "POST" } },
  body: typeof body === "string" ? body : JSON.stringify(body),
  ...more,
});
const get = (query: object, rawPath = "/migrations") => ({
  ...{ rawPath, requestContext: { http: { method: "GET" } }, queryStringParameters: query },
});
const job = (words: string) => ({
  "CodePipeline.job": {
    id: "11111111-abcd-1111-abcd-111111abcdef",
    data: { actionConfiguration: { configuration: { UserParameters: words } } },
  },
});
const resource = (ResourceProperties: object, more: object = {}) => ({
  ...{ RequestType: "Create", LogicalResourceId: "Run", ResourceProperties },
  ...more,
});
const hook = (hookDetails: object) => ({
  ...{ serviceArn: "arn", targetServiceRevisionArn: "green", hookDetails },
});

/** The words with which an event is refused; what it asks for, if it is not. */
async function answerTo(event: unknown): Promise<string> {
  try {
    const request = await requestOf(event, lambdaContext());
    return `asks for ${request?.action ?? "nothing"}`;
  } catch (thrown) {
    if (thrown instanceof MigratorError) return `${thrown.code} ${thrown.message}`;
    throw thrown;
  }
}

describe("a field that is none of a request is refused, and the nearest one is named", () => {
  test.each([
    ["over HTTP", post({ dryRun: true }), "dryRun", "action"],
    ["over HTTP, mistyped", post({ acton: "plan" }), "acton", "action"],
    ["over HTTP, in another case", post({ DRY_RUN: "1" }), "DRY_RUN", "action"],
    ["over HTTP, beside one that is right", post({ transaction: "all", ahed: 1 }), "ahed", "ahead"],
    ["over HTTP, without a value", post({ preview: null }), "preview", "action"],
    ["in the query of a POST", post("", { queryStringParameters: { "dry-run": "" } }), "dry-run"],
    ["in the query of a GET", get({ tranaction: "all" }), "tranaction", "transaction"],
    ["in the query of a plan", get({ dryRun: "1" }, "/migrations/plan"), "dryRun", "action"],
    ["of a person", { action: "up", dryRun: true }, "dryRun", "action"],
    ["of a person, alone", { acton: "plan" }, "acton", "action"],
    ["of a person, for a time", { action: "up", timeoutMS2: 5 }, "timeoutMS2", "timeoutMs"],
    ["of a person, wrapped", { action: "up", request: { action: "plan" } }, "request"],
    ["of a pipeline's author", job('{"modifed":"error"}'), "modifed", "modified"],
    ["in a template", resource({ ServiceToken: "arn", DryRun: "true" }), "DryRun", "action"],
    ["in a template, mistyped", resource({ outOfOder: "apply" }), "outOfOder", "outOfOrder"],
    ["in the details of a hook", hook({ executer: "drizzle" }), "executer", "executor"],
  ])("%s", async (_, event, field, nearest = "") => {
    const answer = await answerTo(event);

    expect(answer).toMatch(/^(REQUEST_INVALID|UNSUPPORTED_EVENT) /);
    expect(answer).toContain(JSON.stringify(field));
    expect(answer).toContain(nearest);
  });
});

describe("a field of ours is refused", () => {
  test.each([
    ["named twice in a body", post('{"transaction":"all","transaction":"each"}')],
    ["named twice in a body, once in escapes", post('{"ahead":"warn","\\u0061head":"error"}')],
    ["named twice for a pipeline", job('{"modified":"warn", "modified" : "error"}')],
    [
      "twice in a query",
      { ...get({}), multiValueQueryStringParameters: { ahead: ["warn", "error"] } },
    ],
    ["twice in a query, by a comma", get({ ahead: "warn,error" })],
    ["of another type", post({ onFailure: true })],
    ["in a list", post([{ action: "up" }])],
    ["as a list", post({ transaction: ["each"] })],
    ["in a number's clothes", post({ lockTimeoutMs: "5s" })],
    ["in capitals", post({ Transaction: "each" })],
  ])("%s", async (_, event) => {
    expect(await answerTo(event)).toMatch(/^REQUEST_INVALID /);
  });
});

describe("a field of a tool is known", () => {
  const signed = { "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Signature": "5f" };

  test.each([
    ["of Terraform", { transaction: "each", tf: { action: "create", prev_input: null } }],
    ["of SST", { now: "2026-11-25T08:00:00.000Z" }],
    ["of Step Functions", { transaction: "each", executionId: "arn", stateEnteredTime: "now" }],
    ["of a tracer", { transaction: "each", _datadog: { "x-datadog-trace-id": "1" } }],
    ["of a signed address", post({ transaction: "each" }, { queryStringParameters: signed })],
    ["of CloudFormation", resource({ ServiceToken: "arn", ServiceTimeout: "960" })],
    [
      "of our construct",
      resource({ MigrationsHash: "5f", Database: "shop", SynthesisedAt: "2026-11-25" }),
    ],
    ["of a template that forces an Update", resource({ Version: "7", Trigger: "x" })],
    ["of a hook", hook({ transaction: "each", neonMigrations: {}, approvers: "all" })],
    ["of a value with quotes and colons", post('{"timeoutMs":"5000","ahead":"warn"}')],
  ])("%s", async (_, event) => {
    expect(await answerTo(event)).toBe("asks for up");
  });

  test("of a stack that goes back to properties which were taken before", async () => {
    const old = { outOfOder: "apply" };
    const back = { RequestType: "Update", OldResourceProperties: old };

    expect(await answerTo(resource(old, back))).toBe("asks for up");
  });
});

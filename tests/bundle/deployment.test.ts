import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import { startSecrets } from "../../local/aws/secrets.ts";
import {
  type LocalCloudFormation,
  startCloudFormation,
} from "../../local/cloudformation/cloudformation.ts";
import { type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";
import type { Relay } from "../../local/relay/relay.ts";
import { accounts } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { prepareDeployment } from "../setup/deployment.ts";
import { expectReport } from "../setup/report-schema.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;
let environment: Record<string, string>;
let lambda: LocalLambda;
let relay: Relay;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = await database.startRelay({ mode: "neon" });
  environment = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
  lambda = startLambda({ handlerDirectory: inject("assetFolder"), environment });
});

afterEach(async () => {
  await lambda.stop();
  await database.close();
});

describe("a direct invocation", () => {
  test.each([[{}], [null], [{ tf: { action: "create" } }], [{ now: "2026-11-24" }]])(
    "applies for %j",
    async (event) => {
      const { payload, functionError } = await lambda.invoke(event);

      expect(functionError).toBeNull();
      expect(expectReport(payload)).toMatchObject({ status: "applied", executor: "drizzle" });
    },
  );

  test("plans, and tells the status", async () => {
    const planned = await lambda.invoke({ action: "plan" });
    const status = await lambda.invoke({ action: "status" });

    expect(expectReport(planned.payload).status).toBe("planned");
    expect(expectReport(status.payload)).toMatchObject({ status: "planned", applied: [] });
  });

  test("throws an error with the code as its name, or returns the report on request", async () => {
    const thrown = await lambda.invoke({ action: "sideways" });
    const returned = await lambda.invoke({ lockTimeoutMs: -1, onFailure: "return" });

    expect(thrown).toMatchObject({
      functionError: "Unhandled",
      payload: { errorType: "REQUEST_INVALID", errorMessage: expect.stringContaining("sideways") },
    });
    expect(expectReport(returned.payload).error?.code).toBe("REQUEST_INVALID");
  });

  test.each([
    [{ Records: [{ eventSource: "aws:sqs" }] }],
    [{ source: "aws.events", "detail-type": "Scheduled Event", action: "up" }],
    [{ "CodePipeline.job": { id: "1" } }],
    [{ triggerSource: "PreSignUp_SignUp", userPoolId: "x", request: {}, response: {} }],
    [{ type: "TOKEN", methodArn: "arn:aws:execute-api:x" }],
    [{ invocationId: "1", deliveryStreamArn: "arn", records: [] }],
    [{ awslogs: { data: "" } }],
    [{ who: "knows" }],
    ["up"],
    [[1]],
    [42],
  ])("is no silent run for %j", async (event) => {
    const { payload, functionError } = await lambda.invoke(event);

    expect(functionError).toBe("Unhandled");
    expect(payload).toMatchObject({ errorType: "UNSUPPORTED_EVENT" });
    expect(
      await database.sql("select nspname from pg_namespace where nspname = 'drizzle'"),
    ).toEqual([]);
  });
});

describe("an HTTP call", () => {
  const v2 = (method: string, rawPath: string, more: object = {}) => ({
    version: "2.0",
    rawPath,
    requestContext: { http: { method } },
    ...more,
  });

  test.each([
    ["a Function URL", v2],
    [
      "a REST API",
      (httpMethod: string, path: string, more: object = {}) => ({
        httpMethod,
        path,
        requestContext: { stage: "prod" },
        ...more,
      }),
    ],
    [
      "a load balancer",
      (httpMethod: string, path: string, more: object = {}) => ({
        httpMethod,
        path,
        requestContext: { elb: { targetGroupArn: "x" } },
        multiValueHeaders: {},
        ...more,
      }),
    ],
  ])("applies, plans and tells the status through %s", async (_name, event) => {
    const body = Buffer.from(JSON.stringify({ transaction: "all" })).toString("base64");

    const plan = await lambda.invoke(event("GET", "/migrations/plan"));
    const up = await lambda.invoke(event("POST", "/migrations", { body, isBase64Encoded: true }));
    const status = await lambda.invoke(event("GET", "/prod/migrations/"));

    const reports = [plan, up, status].map(({ payload }) => {
      expect(payload).toMatchObject({ statusCode: 200 });
      return expectReport(JSON.parse(Reflect.get(Object(payload), "body"))).status;
    });
    expect(reports).toEqual(["planned", "applied", "up-to-date"]);
  });

  test.each([
    ["POST", "/elsewhere", {}, 404, "NOT_FOUND"],
    ["DELETE", "/migrations", {}, 405, "METHOD_NOT_ALLOWED"],
    ["POST", "/migrations/plan", {}, 405, "METHOD_NOT_ALLOWED"],
    ["POST", "/migrations", { body: "{" }, 400, "REQUEST_INVALID"],
    ["POST", "/migrations", { body: '{"action":"plan"}' }, 400, "REQUEST_INVALID"],
  ])("answers %s %s %j with %i", async (method, path, more, status, code) => {
    const { payload } = await lambda.invoke(v2(method, path, more));

    expect(payload).toMatchObject({ statusCode: status });
    expect(expectReport(JSON.parse(Reflect.get(Object(payload), "body"))).error?.code).toBe(code);
  });
});

describe("CloudFormation", () => {
  let stack: LocalCloudFormation;

  beforeEach(async () => {
    stack = await startCloudFormation({
      invoke: (event) => lambda.invokeAsync(event),
      serviceToken: lambda.functionArn,
    });
    return () => stack.stop();
  });

  test.each([
    ["BUNDLE_MISSING", null],
    ["BUNDLE_INVALID", "{"],
  ])("is told of a function that has no good bundle: %s", async (code, content) => {
    const handlerDirectory = mkdtempSync(join(tmpdir(), "damaged-"));
    cpSync(inject("assetFolder"), handlerDirectory, { recursive: true });
    if (content === null) rmSync(join(handlerDirectory, "bundle.json"));
    else writeFileSync(join(handlerDirectory, "bundle.json"), content);
    await lambda.stop();
    lambda = startLambda({ handlerDirectory, environment });

    const failed = await stack.create("Run");
    rmSync(handlerDirectory, { recursive: true });

    expect(failed).toMatchObject({ status: "ROLLBACK_COMPLETE", problems: [] });
    expect(failed.exchanges[0]?.reason).toMatch(new RegExp(`^${code}: `));
  });
});

test.each(["Create", "Update", "Delete"])(
  "a %s that asks for an answer elsewhere than at AWS runs nothing, and sends nothing",
  async (RequestType) => {
    const stack = await startCloudFormation({ invoke: () => Promise.resolve() });
    const other = startLambda({
      handlerDirectory: inject("assetFolder"),
      environment: { ...environment, AWS_ENDPOINT_URL: "" },
    });
    onTestFinished(async () => {
      await Promise.all([stack.stop(), other.stop()]);
    });
    const ResponseURL = stack.bucket.presign("answer");
    const resource = { LogicalResourceId: "Run", ServiceToken: other.functionArn };

    const outcome = await other.invoke({ RequestType, ...resource, ResponseURL });

    expect(outcome.payload).toMatchObject({
      errorType: "ANSWER_REFUSED",
      errorMessage: expect.stringContaining("Nothing was run, and nothing was sent."),
    });
    expect(outcome.logs.find((line) => line.includes('"run.failed"'))).toContain("ANSWER_REFUSED");
    expect(outcome.logs.join("\n")).not.toContain(ResponseURL);
    expect(stack.bucket.counts().connections).toBe(0);
    expect(
      await database.sql("select nspname from pg_namespace where nspname = 'drizzle'"),
    ).toEqual([]);
  },
);

test("the database's address comes from Secrets Manager or SSM, read by the real clients", async () => {
  const secrets = await startSecrets();
  onTestFinished(() => secrets.stop());
  secrets.set("db", JSON.stringify({ url: database.url }));
  secrets.set("/db", database.url);
  const { DATABASE_URL: _plain, ...rest } = environment;
  const references = [
    { DATABASE_URL_SECRET: "db" },
    { DATABASE_URL_PARAMETER: "/db" },
    { DATABASE_URL_SECRET: "gone" },
  ];

  const outcomes = [];
  for (const reference of references) {
    const own = { ...rest, ...secrets.environment, ...reference };
    const other = startLambda({ handlerDirectory: inject("assetFolder"), environment: own });
    onTestFinished(() => other.stop());
    const { payload } = await other.invoke({ onFailure: "return" });
    outcomes.push([expectReport(payload).status, expectReport(payload).error?.code]);
  }

  expect(outcomes).toEqual([
    ["applied", undefined],
    ["up-to-date", undefined],
    ["failed", "SECRET_UNAVAILABLE"],
  ]);
});

test.each([
  ["its migration waits for others", false],
  ["the way to the database goes silent", true],
])(
  "a function that is nearly over answers before it is killed, while %s",
  async (_what, silent) => {
    const deployment = prepareDeployment(environment, { movableClock: true });
    onTestFinished(() => deployment.remove());
    await deployment.deploy(accounts);
    const holder = await database.hold("create schema drizzle");
    // So patient that it is never between two attempts.
    const event = { onFailure: "return", ddlLockTimeoutMs: 900_000 };
    const delivering = deployment.deliver({ requestId: "late", event });
    const blocked =
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    await waitFor(async () => (await database.sql(blocked)).length > 0);
    relay.silence(silent);
    // Ten seconds are kept for cancelling what runs, and the last five for answering anyway.
    deployment.leaveOnly(8_000);

    const { payload } = await delivering;
    await holder.release();

    expect(expectReport(payload).error?.code).toBe("DEADLINE");
  },
);

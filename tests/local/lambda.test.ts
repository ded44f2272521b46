import { expect, test } from "vitest";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import { deploySource as deploy } from "../setup/local-function.ts";
import { waitFor } from "../setup/wait-for.ts";

test("returns what the handler returns, cold first and warm after", async () => {
  const lambda = await deploy(
    "let calls = 0; export const handler = async (event) => ({ event, calls: ++calls });",
  );

  const first = await lambda.invoke({ a: 1 });
  const second = await lambda.invoke(null);

  expect(first).toMatchObject({
    payload: { event: { a: 1 }, calls: 1 },
    functionError: null,
    coldStart: true,
  });
  expect(second).toMatchObject({ payload: { event: null, calls: 2 }, coldStart: false });
});

test("gives the handler the context of a Lambda function", async () => {
  const lambda = await deploy(
    `export const handler = async (_event, context) =>
      ({ ...context, remaining: context.getRemainingTimeInMillis() });`,
    { timeoutMs: 300_000, functionArn: "arn:aws:lambda:us-east-1:123456789012:function:mine" },
  );

  const started = Date.now();
  const { payload, requestId } = await lambda.invoke({});
  const elapsedMs = Date.now() - started;

  expect(payload).toMatchObject({
    awsRequestId: requestId,
    invokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:mine",
    functionName: "mine",
    memoryLimitInMB: "512",
  });
  const remaining: unknown = Reflect.get(Object(payload), "remaining");
  expect(remaining).toBeGreaterThanOrEqual(300_000 - elapsedMs);
  expect(remaining).toBeLessThanOrEqual(300_000);
});

test("keeps our own environment away from the function", async () => {
  process.env.LOCAL_LAMBDA_LEAK = "1";
  const lambda = await deploy("export const handler = async () => process.env;", {
    environment: { GIVEN: "yes" },
  });

  const { payload } = await lambda.invoke({});
  delete process.env.LOCAL_LAMBDA_LEAK;

  expect(payload).toMatchObject({ GIVEN: "yes", AWS_REGION: "eu-central-1" });
  expect(payload).not.toHaveProperty("LOCAL_LAMBDA_LEAK");
});

test("answers null for undefined", async () => {
  const lambda = await deploy("export const handler = async () => undefined;");

  expect(await lambda.invoke({})).toMatchObject({ payload: null, functionError: null });
});

test("reports a thrown error with its name and message, and stays warm", async () => {
  const lambda = await deploy(
    `export const handler = async () => {
      throw Object.assign(new Error("no lock"), { name: "LOCKED" });
    };`,
  );

  const first = await lambda.invoke({});
  const second = await lambda.invoke({});

  expect(first).toMatchObject({
    functionError: "Unhandled",
    payload: { errorType: "LOCKED", errorMessage: "no lock", trace: expect.any(Array) },
  });
  expect(second.coldStart).toBe(false);
});

test.each([
  ["a string", '"text"', { errorType: "string", errorMessage: "text", trace: [] }],
  ["null", "null", { errorType: "handled" }],
])("reports %s that was thrown", async (_what, thrown, payload) => {
  const lambda = await deploy(`export const handler = async () => { throw ${thrown}; };`);

  expect(await lambda.invoke({})).toMatchObject({ functionError: "Unhandled", payload });
});

test("reports a result that cannot be serialised", async () => {
  const lambda = await deploy("export const handler = async () => ({ big: 1n });");

  expect(await lambda.invoke({})).toMatchObject({
    functionError: "Unhandled",
    payload: { errorType: "Runtime.JSONStringifyError" },
  });
});

test.each([
  [
    "a promise that never settles",
    "export const handler = () => new Promise(() => {});",
    /exited without providing a reason$/,
  ],
  [
    "an uncaught exception",
    `export const handler = () => new Promise(() => {
      setTimeout(() => { throw new Error("late"); }, 1);
    });`,
    /exit status 1$/,
  ],
])("reports the end of the process after %s, and starts a new one", async (_what, source, text) => {
  const lambda = await deploy(source);

  const first = await lambda.invoke({});
  const second = await lambda.invoke({});

  expect(first).toMatchObject({
    functionError: "Unhandled",
    payload: { errorType: "Runtime.ExitError", errorMessage: expect.stringMatching(text) },
  });
  expect(second.coldStart).toBe(true);
});

test("passes over a process that died after its answer", async () => {
  const lambda = await deploy(
    `export const handler = async () => {
      process.once("SIGUSR2", () => { throw new Error("late"); });
      return process.pid;
    };`,
  );
  const first = await lambda.invoke({});
  process.kill(Number(first.payload), "SIGUSR2");
  await waitFor(() => !isAlive(Number(first.payload)));

  const second = await lambda.invoke({});

  expect(first.functionError).toBeNull();
  expect(second).toMatchObject({ functionError: null, coldStart: true });
});

test("kills the process at the deadline", async () => {
  const lambda = await deploy("export const handler = () => { for (;;); };", { timeoutMs: 200 });

  const first = await lambda.invoke({});
  const second = await lambda.invoke({});

  expect(first).toMatchObject({
    functionError: "Unhandled",
    payload: {
      errorType: "Sandbox.Timedout",
      errorMessage: `RequestId: ${first.requestId} Error: Task timed out after 0.20 seconds`,
    },
  });
  expect(second.coldStart).toBe(true);
});

test.each([
  ["throws while it loads", 'throw new TypeError("at import");', { errorType: "TypeError" }],
  ["exports no handler", "export {};", { errorType: "Runtime.HandlerNotFound" }],
  [
    "wants a callback",
    "export const handler = (event, context, callback) => callback(null, 1);",
    { errorType: "Runtime.CallbackHandlerDeprecated" },
  ],
])("reports code that %s", async (_what, source, payload) => {
  const lambda = await deploy(source);

  expect(await lambda.invoke({})).toMatchObject({ functionError: "Unhandled", payload });
});

test("keeps what the function logs with the call that logged it", async () => {
  const lambda = await deploy(
    "export const handler = async (event) => { console.log(event); console.error('!'); };",
  );

  expect((await lambda.invoke("one")).logs).toEqual(expect.arrayContaining(["one", "!"]));
  expect((await lambda.invoke("two")).logs).not.toContain("one");
});

test("starts a process for each of several calls at a time", async () => {
  const lambda = await deploy("export const handler = async () => process.pid;");

  const calls = await Promise.all([1, 2, 3].map((event) => lambda.invoke(event)));

  expect(new Set(calls.map((call) => call.payload)).size).toBe(3);
});

test("repeats a failed asynchronous call as our construct asks, under the same request id", async () => {
  const lambda = await deploy('export const handler = async () => { throw new Error("no"); };');

  const attempts = await lambda.invokeAsync({});
  const counts = [];
  for (const maximumRetryAttempts of [0, 2]) {
    counts.push((await lambda.invokeAsync({}, { maximumRetryAttempts })).length);
  }

  expect(attempts).toHaveLength(1 + RETRY_ATTEMPTS);
  expect(new Set(attempts.map((attempt) => attempt.requestId)).size).toBe(1);
  expect(counts).toEqual([1, 3]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

import { createServer } from "node:http";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { recognise } from "../../../lib/events/recognise.ts";
import { answerCall, type createHandler } from "../../../lib/handler/handler.ts";
import { createLog, silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { buildReport, failedReport } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import { handlerWith } from "../../setup/handler.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle } from "../../setup/make-migration.ts";
import { recordedEvent } from "../../setup/recorded-events.ts";
import { tries } from "../../setup/tries.ts";
import { waitFor } from "../../setup/wait-for.ts";

/** A handler whose runs are counted and end at once. */
function counting(): { handler: ReturnType<typeof createHandler>; runs: string[] } {
  const runs: string[] = [];
  const run: typeof migrate = (request, { requestId }) => {
    runs.push(request.action);
    return Promise.resolve(buildReport(requestId, "up-to-date", {}));
  };
  return { handler: handlerWith({ bundle: makeBundle(), run, logFor: () => silentLog }), runs };
}

describe("a handler", () => {
  test("answers any event with a value or a coded error, and runs only what was asked for", async () => {
    const anyEvent = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom("action", "Records", "detail-type", "tf", "x"), fc.jsonValue()),
    );
    await fc.assert(
      fc.asyncProperty(anyEvent, async (event) => {
        const { handler, runs } = counting();
        try {
          await handler(event, lambdaContext());
          expect(runs).toHaveLength(1);
          expect(recognise(event).source).toBe("direct");
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(MigratorError);
          expect(runs).toEqual([]);
        }
      }),
      { numRuns: tries(75, 500) },
    );
  });

  test("answers for a run that never ends, before its own end", async () => {
    const handler = handlerWith({
      bundle: makeBundle(),
      run: () => new Promise(() => undefined),
      logFor: () => silentLog,
    });

    const report = await handler({ onFailure: "return" }, lambdaContext(600));

    expect(report).toMatchObject({
      status: "failed",
      error: { code: "DEADLINE", retryable: true },
    });
  });

  test("says what a run was doing that never ends", async () => {
    const handler = handlerWith({
      bundle: makeBundle(),
      run: (request, dependencies) =>
        migrate(request, { ...dependencies, target: () => new Promise(() => undefined) }),
      logFor: () => silentLog,
    });

    const report = await handler({ onFailure: "return" }, lambdaContext(600));

    expect(report).toMatchObject({
      error: { code: "DEADLINE", message: /It was reading the connection string\.$/ },
    });
  });

  test("loads what the answer needs while the run goes on", async ({ onTestFinished }) => {
    const sent: unknown[] = [];
    let loaded = (): void => undefined;
    const loading = new Promise<void>((resolve) => {
      loaded = resolve;
    });
    vi.doMock("@aws-sdk/client-codepipeline", () => {
      loaded();
      const CodePipelineClient = class {
        send(command: unknown) {
          sent.push(command);
          return Promise.resolve({});
        }
      };
      return {
        CodePipelineClient,
        PutJobSuccessResultCommand: class {},
        PutJobFailureResultCommand: class {},
      };
    });
    // The run ends when the client is there: not before, and it must not have to wait for the run.
    const run: typeof migrate = async (_request, { requestId }) => {
      await loading;
      return buildReport(requestId, "up-to-date", {});
    };
    const statuses: unknown[] = [];
    const logFor =
      () =>
      (_event: string, fields: object = {}) => {
        statuses.push(Object(Reflect.get(fields, "report")).status);
      };

    const handling = handlerWith({ bundle: makeBundle(), run, logFor })(
      recordedEvent("codepipeline/job"),
      lambdaContext(),
    );
    onTestFinished(async () => {
      loaded();
      await handling;
      vi.doUnmock("@aws-sdk/client-codepipeline");
    });
    await handling;

    expect([statuses.at(-1), sent.length]).toEqual(["up-to-date", 1]);
  });

  test("makes a report of a bundle that cannot be read", async () => {
    const damaged = () => {
      throw new MigratorError("BUNDLE_INVALID", "It is damaged.");
    };

    const report = await handlerWith({ bundle: damaged, logFor: () => silentLog })(
      { onFailure: "return" },
      lambdaContext(),
    );

    expect(report).toMatchObject({ status: "failed", error: { code: "BUNDLE_INVALID" } });
  });

  test("takes a connection string's password out of what it was asked and what went wrong", async () => {
    const lines: string[] = [];
    const broken = () => {
      throw new Error("at postgres://app:hunter22@host/db");
    };
    const options = { logFor: (id: string) => createLog(id, (line) => lines.push(line)) };
    const asked = { action: "postgres://app:hunter22@host/db", onFailure: "return" };

    const reports = [
      await handlerWith({ bundle: broken, ...options })({ onFailure: "return" }, lambdaContext()),
      await handlerWith({ bundle: makeBundle(), ...options })(asked, lambdaContext()),
    ];

    expect(JSON.stringify([reports, lines])).not.toContain("hunter22");
    expect(JSON.stringify(reports)).toContain("[redacted]");
  });

  test("keeps an exception that nobody caught from those who listened before, while it runs", async () => {
    const heard: unknown[] = [];
    const listen = (thrown: unknown) => void heard.push(thrown);
    const before = process.rawListeners("uncaughtException");
    process.once("uncaughtException", listen);
    const run: typeof migrate = () => {
      setImmediate(() => process.emit("uncaughtException", new Error("late")));
      return new Promise(() => undefined);
    };
    const handler = handlerWith({ bundle: makeBundle(), run, logFor: () => silentLog });

    const report = await handler({ onFailure: "return" }, lambdaContext());
    const after = process.listeners("uncaughtException");
    process.off("uncaughtException", listen);

    expect(report).toMatchObject({ error: { code: "INTERNAL" } });
    expect([heard, after]).toEqual([[], [...before, listen]]);
    expect(process.rawListeners("uncaughtException")).toEqual(before);
  });

  test("gives exceptions back to those who listened before, though calls overlap", async () => {
    const before = process.rawListeners("uncaughtException");
    const ends: (() => void)[] = [];
    const run: typeof migrate = (_request, { requestId }) =>
      new Promise((resolve) => {
        ends.push(() => resolve(buildReport(requestId, "up-to-date", {})));
      });
    const handler = handlerWith({ bundle: makeBundle(), run, logFor: () => silentLog });

    const first = handler({}, lambdaContext());
    const second = handler({ onFailure: "return" }, lambdaContext());
    await waitFor(() => ends.length === 2);
    ends[0]?.();
    await first;
    process.emit("uncaughtException", new Error("late"));

    expect(await second).toMatchObject({ error: { code: "INTERNAL", message: /late/ } });
    expect(process.rawListeners("uncaughtException")).toEqual(before);
  });

  test("keeps exceptions that nobody caught from stopping its answer", async () => {
    const before = process.rawListeners("uncaughtException");
    const heard: unknown[] = [];
    const listen = (thrown: unknown) => void heard.push(thrown);
    process.on("uncaughtException", listen);
    const answers: string[] = [];
    const server = createServer((request, response) => {
      request.on("data", (body) => answers.push(String(body)));
      request.on("end", () => {
        process.emit("uncaughtException", new Error("late"));
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = Object(server.address());
    vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    onTestFinished(() => void vi.unstubAllEnvs());
    const event = {
      ...{ RequestType: "Create", LogicalResourceId: "Run", ResourceProperties: {} },
      ServiceToken: lambdaContext().invokedFunctionArn,
      ResponseURL: `http://127.0.0.1:${port}/`,
    };

    await counting().handler(event, lambdaContext());
    process.off("uncaughtException", listen);
    server.close();

    expect([answers.length, heard]).toEqual([1, []]);
    expect(process.rawListeners("uncaughtException")).toEqual(before);
  });

  test("takes the database's password out of an exception that nobody caught", async () => {
    vi.stubEnv("DATABASE_URL", "postgres://app:hunter%2022@host/db");
    const run: typeof migrate = async (_request, { target }) => {
      await target();
      setImmediate(() => process.emit("uncaughtException", new Error("hunter 22 is wrong")));
      return await new Promise(() => undefined);
    };
    const handler = handlerWith({ bundle: makeBundle(), run, logFor: () => silentLog });

    const report = await handler({ onFailure: "return" }, lambdaContext());
    vi.unstubAllEnvs();

    expect(report).toMatchObject({
      error: { code: "INTERNAL", message: expect.stringContaining("[redacted] is wrong") },
    });
  });
});

test("the inner function hands out the report beside the error that the caller gets", async () => {
  const run: typeof migrate = (_, { requestId }) =>
    Promise.resolve(failedReport(requestId, new MigratorError("LOCKED", "It failed.")));
  const options = { bundle: makeBundle(), run, logFor: () => silentLog };

  const answered = await answerCall({}, lambdaContext(), options);

  expect(answered).toMatchObject({
    report: { status: "failed", error: { code: "LOCKED" } },
    answer: { status: "rejected", reason: { code: "LOCKED" } },
  });
});

describe("the last line of a call's log", () => {
  test.each([
    ["ecs/pre-scale-up", "LOCKED", "run.continues", { hookStatus: "IN_PROGRESS" }],
    ["ecs/pre-scale-up", "MIGRATION_FAILED", "run.failed", { hookStatus: "FAILED" }],
    ["http/function-url-post", "LOCKED", "run.failed", { statusCode: 409 }],
  ] as const)("of %s with %s is %s", async (name, code, last, answer) => {
    const events: string[] = [];
    const handler = handlerWith({
      bundle: makeBundle(),
      run: (_, { requestId }) =>
        Promise.resolve(failedReport(requestId, new MigratorError(code, "It failed."))),
      logFor: () => (event) => events.push(event),
    });

    expect(await handler(recordedEvent(name), lambdaContext())).toMatchObject(answer);
    expect(events.at(-1)).toBe(last);
  });
});

describe("parseRequest", () => {
  test("reads what CloudFormation sends, where every value is a string", () => {
    const request = parseRequest({
      ServiceToken: "arn",
      MigrationsHash: "x",
      lockTimeoutMs: "5000",
      outOfOrder: "apply",
    });

    expect(request).toEqual({
      ...{ target: null, expect: null },
      action: "up",
      transaction: "auto",
      outOfOrder: "apply",
      modified: "warn",
      ahead: "warn",
      executor: "auto",
      lockTimeoutMs: 5_000,
      ddlLockTimeoutMs: 2_000,
      timeoutMs: null,
      onFailure: "throw",
      rehearsal: "off",
      rehearsalLimits: { blockedMs: null, totalMs: null },
    });
  });

  test.each([
    ["action", "migrate"],
    ["executor", 1],
    ["lockTimeoutMs", "5 s"],
    ["lockTimeoutMs", -1],
    ["timeoutMs", 0],
    ["timeoutMs", 1.5],
    ["ddlLockTimeoutMs", 1e12],
  ])("refuses %s: %j and names it", (key, value) => {
    expect(() => parseRequest({ [key]: value })).toThrow(
      expect.objectContaining({ code: "REQUEST_INVALID", message: expect.stringContaining(key) }),
    );
  });
});

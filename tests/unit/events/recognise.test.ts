import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ERROR_CODES, type ErrorCode, MigratorError, toError } from "../../../lib/errors.ts";
import { silentLog } from "../../../lib/log.ts";
import { buildReport, failedReport } from "../../../lib/report/report.ts";
import type { Request } from "../../../lib/request.ts";
import { makeCall, requestOf, respondTo } from "../../setup/call.ts";
import { handlerWith } from "../../setup/handler.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";

const context = lambdaContext();

const POST = {
  rawPath: "/migrations",
  requestContext: { http: { method: "POST" } },
  body: '{"transaction":"each"}',
};

const CREATE = {
  RequestType: "Create",
  LogicalResourceId: "Run",
  ServiceToken: "arn:aws:lambda:eu-central-1:1:function:framework",
  ResourceProperties: { MigrationsHash: "5f" },
};

/** The action that an event asks for, null when for none, or the code with which it is refused. */
async function askedBy(event: unknown): Promise<Request["action"] | null | string> {
  try {
    return (await requestOf(event, context))?.action ?? null;
  } catch (thrown) {
    if (thrown instanceof MigratorError) return thrown.code;
    throw thrown;
  }
}

describe("a direct invocation", () => {
  test("is no run when a field of ours is empty and the others are not ours", async () => {
    expect(await askedBy({ id: 1, modified: null })).toBe("UNSUPPORTED_EVENT");
    expect(await askedBy({ modified: null })).toBe("up");
  });

  test.each([
    [{ Action: "plan", transaction: "each" }],
    [{ transaction: "each", "on-failure": "return" }],
  ])("is refused when it spells a field in another way: %j", async (event) => {
    expect(await askedBy(event)).toBe("REQUEST_INVALID");
  });

  test("throws a message with the whole report in it, however long the error is", async () => {
    const report = failedReport("request", new MigratorError("LOCKED", "x".repeat(8_000_000)));

    const responding = respondTo({}, report, makeCall(context, 0));
    const { message } = await responding.then(() => expect.fail("It was returned."), toError);

    const [sentence = "", json = ""] = message.split("\n");
    expect([sentence.length < 100_000, message.length < 200_000]).toEqual([true, true]);
    expect(JSON.parse(json)).toMatchObject({ status: "failed", error: { code: "LOCKED" } });
  });

  test("throws a message with the whole report in it, however much there is to tell", async () => {
    const detail = "\u0001".repeat(1_000);
    const notices = Array.from({ length: 1_000 }, () => ({
      ...{ severity: "NOTICE", message: detail, migration: null },
    }));
    const report = failedReport("request", new MigratorError("LOCKED", detail), { notices });

    const responding = respondTo({}, report, makeCall(context, 0));
    const { message } = await responding.then(() => expect.fail("It was returned."), toError);

    expect(message.length).toBeLessThan(200_000);
    expect(JSON.parse(message.split("\n")[1] ?? "")).toMatchObject({ error: { code: "LOCKED" } });
  });

  test("asks for nothing when Terraform destroys what invoked it", async () => {
    const event = { transaction: "each", tf: { action: "delete", prev_input: {} } };

    expect(await askedBy(event)).toBeNull();
    expect(await respondTo(event, null, makeCall(context))).toBeNull();
  });
});

describe("an HTTP call", () => {
  test.each([
    ["a body that was parsed before", { body: { action: "plan" } }],
    ["a body that is a number", { body: 0 }],
    ["a body that is not the base64 text it says to be", { body: "{!}", isBase64Encoded: true }],
    ["an action in the query", { queryStringParameters: { action: "plan" } }],
    ["an option in the query", { multiValueQueryStringParameters: { Transaction: ["all"] } }],
  ])("of POST with %s is refused", async (_name, more) => {
    expect(await askedBy({ ...POST, ...more })).toBe("REQUEST_INVALID");
  });

  test.each([[{ methodArn: "arn" }], [{ type: "REQUEST", routeArn: "arn" }]])(
    "that an authorizer is asked about is not served: %j",
    async (more) => {
      expect(await askedBy({ ...POST, ...more })).toBe("UNSUPPORTED_EVENT");
    },
  );

  test("needs a method that is POST, not one that would be in capitals", async () => {
    const event = { ...POST, requestContext: { http: { method: "poſt" } } };

    expect(await askedBy(event)).toBe("METHOD_NOT_ALLOWED");
  });

  test("is answered at once for a path of two million slashes", async () => {
    // Gone through once for each of them, it would take longer than a test may.
    const rawPath = `/migrations${"/".repeat(2_000_000)}x`;

    expect(await askedBy({ ...POST, rawPath })).toBe("NOT_FOUND");
  });

  test("gets no password back from a method that is a connection string", async () => {
    const method = "POSTGRES://U:HUNTER22@H/DB";
    const event = { ...POST, requestContext: { http: { method } } };

    await expect(requestOf(event, context)).rejects.not.toThrow(/HUNTER22/);
    expect(await askedBy(event)).toBe("METHOD_NOT_ALLOWED");
  });
});

const MIGRATIONS = ["first", "second", "third"].map((tag, index) =>
  makeMigration(tag, index, "select 1"),
);
const WHOLE = head(3);
const EDITED = {
  MigrationsHash: makeBundle(makeMigration("first", 0, "select 2"), ...MIGRATIONS.slice(1, 2)).hash,
};

/** The properties of a stack with the first so many of the migrations. */
function head(count: number): { readonly MigrationsHash: string } {
  return { MigrationsHash: makeBundle(...MIGRATIONS.slice(0, count)).hash };
}

function event(RequestType: string, to: unknown, from: unknown): object {
  return {
    ...{ RequestType, LogicalResourceId: "Run" },
    ...{ ResourceProperties: to, OldResourceProperties: from },
  };
}

describe("an Update of CloudFormation takes back", () => {
  const update = (to: unknown, from: unknown) => event("Update", to, from);

  test.each([
    ["the migrations that it comes from", update(head(2), WHOLE), "skipped"],
    ["them where none is left", update(head(0), WHOLE), "skipped"],
    ["nothing when they stay", update({ ...WHOLE, modified: "error" }, WHOLE), "planned"],
    ["nothing when they are new", update(WHOLE, head(2)), "planned"],
    ["nothing where it leads to the code", update(WHOLE, EDITED), "planned"],
    ["nothing when somebody has typed the hash", update({ MigrationsHash: "2" }, WHOLE), "planned"],
    ["nothing when the hash is left out", update({}, WHOLE), "planned"],
    ["nothing when its hash is no text", update({ MigrationsHash: [WHOLE] }, WHOLE), "planned"],
    ["nothing without old properties", update(WHOLE, undefined), "planned"],
    ["nothing when it is a Create", event("Create", WHOLE, undefined), "planned"],
  ])("%s", async (_what, sent, status) => {
    let reads = 0;
    const handler = handlerWith({
      bundle: () => {
        reads += 1;
        return makeBundle(...MIGRATIONS);
      },
      run: (_request, { requestId }) => Promise.resolve(buildReport(requestId, "planned", {})),
      logFor: () => silentLog,
    });

    expect(await handler(sent, context)).toMatchObject({ Data: { status } });
    expect(reads).toBe(1);
  });
});

describe("an event of CloudFormation for other migrations than ours is refused", () => {
  test.each([
    ["of the way back where the code is not what it comes from", event("Update", head(1), head(2))],
    ["where the code is behind", event("Update", EDITED, WHOLE)],
    ["where nothing is said of what it comes from", event("Update", head(2), undefined)],
    ["where both hashes are others", event("Update", head(2), EDITED)],
    ["where a hash stays that is wrong", event("Update", EDITED, EDITED)],
    ["with properties that only other code knows", event("Update", { ...EDITED, ahed: "" }, WHOLE)],
    ["on Create, even where ours begin with them", event("Create", head(2), undefined)],
  ])("%s", async (_what, refused) => {
    const handler = handlerWith({
      bundle: makeBundle(...MIGRATIONS),
      run: () => expect.fail("It was run."),
      logFor: () => silentLog,
    });

    await expect(handler(refused, context)).rejects.toMatchObject({
      name: "BUNDLE_STALE",
      message: expect.stringContaining("deploy again"),
    });
  });

  test("but a Delete is not", async () => {
    const handler = handlerWith({ bundle: makeBundle(...MIGRATIONS), logFor: () => silentLog });

    expect(await handler(event("Delete", EDITED, undefined), context)).toMatchObject({
      Data: { status: "skipped" },
    });
  });
});

describe("a direct invocation for other migrations than ours", () => {
  const { MigrationsHash: ours } = WHOLE;
  const { MigrationsHash: another } = EDITED;

  test.each([
    ["is refused", { action: "up", migrationsHash: another }, "BUNDLE_STALE"],
    ["is refused when it only asks", { action: "plan", migrationsHash: another }, "BUNDLE_STALE"],
    ["is refused without a request", { tf: {}, migrationsHash: another }, "BUNDLE_STALE"],
    ["asks for nothing on destroy", { tf: { action: "delete" }, migrationsHash: another }, null],
    ["is one for ours", { migrationsHash: ours }, "planned"],
    ["is none that can be told from its text", { migrationsHash: "5f2b8c1e" }, "planned"],
    ["is none where the key is of a tool", { hash: another }, "planned"],
  ])("%s", async (_what, sent, status) => {
    const handler = handlerWith({
      bundle: makeBundle(...MIGRATIONS),
      run: (_request, { requestId }) => Promise.resolve(buildReport(requestId, "planned", {})),
      logFor: () => silentLog,
    });

    const report: unknown = await handler({ onFailure: "return", ...sent }, context);
    const { error, status: seen } = Object(report);
    expect(error?.code ?? seen ?? null).toBe(status);
  });
});

describe("a custom resource is answered by us", () => {
  const arn = context.invokedFunctionArn;

  test.each([
    [arn, arn, true],
    [arn, `${arn}:$LATEST`, true],
    [arn, `${arn}:$LATEST.PUBLISHED`, true],
    [`${arn}:live`, `${arn}:live`, true],
    [`${arn}:live`, `${arn}:7`, false],
    [`${arn}-framework`, arn, false],
    [undefined, arn, false],
  ])(
    "with the service token %s, invoked as %s: %s",
    async (ServiceToken, invokedFunctionArn, ours) => {
      const event = { ...CREATE, ServiceToken, ResponseURL: "http://127.0.0.1:1/never" };
      const invocation = { ...context, invokedFunctionArn };
      vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
      onTestFinished(() => void vi.unstubAllEnvs());

      const answered = respondTo(event, null, makeCall(invocation));

      if (ours) await expect(answered).rejects.toThrow("CloudFormation could not be answered");
      else await expect(answered).resolves.toMatchObject({ Data: { status: "skipped" } });
    },
  );
});

describe("the status of an HTTP answer", () => {
  const STATUS: Partial<Record<ErrorCode, number>> = {
    ...{ REQUEST_INVALID: 400, NOT_FOUND: 404, RUN_NOT_FOUND: 404, METHOD_NOT_ALLOWED: 405 },
    ...{ LOCKED: 409, LOCK_TIMEOUT: 409, LOCK_LOST: 409, LEDGER_CHANGED: 409 },
    ...{ TARGET_DENIED: 403, TARGET_GONE: 410, BUNDLE_MISMATCH: 409 },
    ...{ REHEARSAL_STALE: 409, REHEARSAL_LIMIT: 422, REHEARSAL_UNAVAILABLE: 503 },
    ...{ OUT_OF_ORDER: 422, MODIFIED: 422, AHEAD: 422, LEDGER_SPLIT: 422 },
    ...{ LEDGER_FOREIGN: 422, LEDGER_ELSEWHERE: 422, NOT_BASELINED: 422, STEP_IN_DOUBT: 422 },
    ...{ UNREACHABLE: 503, CONNECT_TIMEOUT: 503, ENDPOINT_UNAVAILABLE: 503, CONNECTION_LOST: 503 },
    DEADLINE: 504,
  };

  test.each(ERROR_CODES)("says what became of %s, and when to come again", async (code) => {
    const report = failedReport("request", new MigratorError(code, "It failed."));

    const answer = await respondTo(POST, report, makeCall(context));

    const status = STATUS[code] ?? 500;
    expect(answer).toMatchObject({ statusCode: status, body: JSON.stringify(report) });
    expect(Object(answer).headers["retry-after"]).toBe(status === 503 ? "5" : undefined);
  });
});

describe("a custom resource behind a framework", () => {
  const failed = failedReport("request", new MigratorError("LOCKED", "Another run is under way."));

  test("fails with the code as the error's name", async () => {
    await expect(respondTo(CREATE, failed, makeCall(context))).rejects.toMatchObject({
      name: "LOCKED",
      message: expect.stringContaining("LOCKED: Another run is under way."),
    });
  });

  test("is answered even if its service token is no text and cannot become one", async () => {
    const event = { ...CREATE, ServiceToken: { toString: 1, valueOf: 1 } };

    const answer = await respondTo(event, null, makeCall(context));

    expect(answer).toMatchObject({ Data: { status: "skipped" } });
  });
});

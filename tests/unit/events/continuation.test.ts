import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../lib/errors.ts";
import { MigratorError } from "../../../lib/errors.ts";
import {
  continuationOf,
  readContinuation,
  remainderOf,
  withPatience,
} from "../../../lib/events/continuation.ts";
import { failedReport, type PendingMigration, type Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";

const BEGUN = { since: 1_000, applied: 2, done: 1 };
const patient = parseRequest(withPatience({}));

function failed(code: ErrorCode, facts: Partial<Report> = {}): Report {
  return failedReport("request", new MigratorError(code, "It failed."), facts);
}

const pending = (done: number): PendingMigration => ({
  tag: "0001_index",
  hash: "5f",
  when: 1,
  statements: 3,
  done,
  reasons: [],
});

const applied = [{ tag: "0000_init", hash: "4e", when: 0, statements: 1, durationMs: 1 }];

describe("a run that did not get what it waited for", () => {
  test.each(["LOCKED", "LOCK_TIMEOUT"] as const)("goes on while its patience lasts: %s", (code) => {
    const at = (now: number) => continuationOf(failed(code), patient, BEGUN, now);

    expect(at(1_000 + 3_599_999)).toEqual({ ...BEGUN, done: 0 });
    expect(at(1_000 + 3_600_000)).toBeNull();
  });

  test("does not go on when it was told to wait for less", () => {
    const request = parseRequest(withPatience({ lockTimeoutMs: 5_000 }));

    expect(continuationOf(failed("LOCKED"), request, BEGUN, 6_001)).toBeNull();
  });
});

describe("a run that somebody else came between", () => {
  const came = (code: ErrorCode, retryable: boolean) =>
    failedReport("request", new MigratorError(code, "It failed.", { retryable }), {});

  test.each(["LOCK_LOST", "LEDGER_CHANGED"] as const)("goes on meanwhile: %s", (code) => {
    const at = (now: number) => continuationOf(came(code, true), patient, BEGUN, now);

    expect(at(1_000 + 3_599_999)).toEqual({ ...BEGUN, done: 0 });
    expect(at(1_000 + 3_600_000)).toBeNull();
  });

  test.each(["LEDGER_CHANGED", "LEDGER_FOREIGN", "STEP_IN_DOUBT"] as const)(
    "ends where another call would find the same: %s",
    (code) => {
      expect(continuationOf(came(code, false), patient, BEGUN, 2_000)).toBeNull();
    },
  );
});

describe("a run whose time was over", () => {
  test("goes on when it has applied something, and adds it up", () => {
    const next = continuationOf(failed("DEADLINE", { applied }), patient, BEGUN, 2_000);

    expect(next).toEqual({ since: 1_000, applied: 3, done: 0 });
  });

  test("goes on when more statements of a migration are done than before", () => {
    const report = (done: number) => failed("DEADLINE", { pending: [pending(done)] });

    expect(continuationOf(report(2), patient, BEGUN, 2_000)).toMatchObject({ done: 2 });
    expect(continuationOf(report(1), patient, BEGUN, 2_000)).toBeNull();
  });

  test("is over for good when the request's own limit was", () => {
    const request = parseRequest({ timeoutMs: 500 });

    expect(continuationOf(failed("DEADLINE", { applied }), request, BEGUN, 1_500)).toBeNull();
  });
});

test.each(["MIGRATION_FAILED", "OUT_OF_ORDER", "UNREACHABLE", "INTERNAL"] as const)(
  "a run that failed with %s is over",
  (code) => {
    expect(continuationOf(failed(code, { applied }), patient, BEGUN, 2_000)).toBeNull();
  },
);

describe("what a call hands on", () => {
  test("takes what has passed off the durations of the request", () => {
    const request = parseRequest({ lockTimeoutMs: 60_000, timeoutMs: 90_000 });

    expect(remainderOf(request, BEGUN, 31_000)).toMatchObject({
      lockTimeoutMs: 30_000,
      timeoutMs: 60_000,
    });
    expect(remainderOf(request, BEGUN, 500_000)).toMatchObject({ lockTimeoutMs: 0, timeoutMs: 1 });
  });

  test.each([
    undefined,
    "d-ABC",
    {},
    { ...BEGUN, since: 5_000 },
    { ...BEGUN, since: -1 },
    { ...BEGUN, applied: "2" },
    { ...BEGUN, done: 1.5 },
  ])("is the beginning of a run when it was none of ours: %j", (value) => {
    expect(readContinuation(value, 4_000)).toEqual({ since: 4_000, applied: 0, done: 0 });
    expect(readContinuation(BEGUN, 4_000)).toEqual(BEGUN);
  });
});

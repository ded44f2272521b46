import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { direct } from "../../../lib/events/direct.ts";
import { failure } from "../../../lib/events/direct-answer.ts";
import { readRecords } from "../../../lib/fleet/results.ts";
import { buildReport, failedReport } from "../../../lib/report/report.ts";

/** The largest cause that Step Functions takes, in characters. */
const MAX_CAUSE = 32_768;

/** Returns the cause that Step Functions makes of the error of a tenant. */
function causeOf(message: string, facts: object = {}): string {
  const error = new MigratorError("MIGRATION_FAILED", message, {
    ...{
      migration: "0001_a",
      sqlstate: "23505",
      statement: { index: 3, line: 1, column: 1, excerpt: "x" },
    },
  });
  const thrown = failure({ ...failedReport("run", error, facts), target: { id: "acme" } });
  return JSON.stringify({ errorType: thrown.name, errorMessage: thrown.message, trace: [] });
}

describe("the error of a tenant stays under 32 KiB as a cause, and says what a fleet's report needs:", () => {
  const notice = { severity: "NOTICE", message: '"'.repeat(300), migration: null };

  test.each([
    ["a short one", "It failed.", {}],
    ["one of quotation marks, which take two characters each", '"'.repeat(50_000), {}],
    ["one of characters outside ASCII", "\u0001ü漢".repeat(20_000), {}],
    [
      "one with a long report",
      "It failed.",
      { notices: Array.from({ length: 1_000 }, () => notice) },
    ],
  ])("%s", (_what, message, facts) => {
    const Cause = causeOf(message, facts);
    const Input = JSON.stringify({ target: { id: "acme" } });
    const [end] =
      readRecords(
        JSON.stringify([{ Status: "FAILED", Error: "MIGRATION_FAILED", Cause, Input }]),
      ) ?? [];

    expect(Cause.length).toBeLessThanOrEqual(MAX_CAUSE);
    expect(end?.line).toMatchObject({ migration: "0001_a", sqlstate: "23505", statement: 3 });
  });
});

test("the report of a tenant stays under 256 KiB, and is JSON with all that the machine reads", async () => {
  const applied = Array.from({ length: 5_000 }, (_, index) => ({
    ...{ tag: `${index}_漢`.padEnd(120, "m"), hash: "0".repeat(64), when: index, statements: 1 },
    ...{ durationMs: 1, startedMs: 1 },
  }));
  const report = { ...buildReport("run", "applied", { applied }), target: { id: "acme" } };

  const answer = await direct({ target: {} })?.respond({ report, next: null } as never);

  const text = JSON.stringify({ Payload: answer, StatusCode: 200 });
  expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
  expect(JSON.parse(text).Payload).toMatchObject({
    ...{ status: "applied", target: { id: "acme" }, drift: { unknown: [] }, timings: {} },
    latest: null,
  });
});

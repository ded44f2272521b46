import { expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import type { HistoryRun } from "../../../lib/history/runs.ts";
import { pointBefore, pointInTime } from "../../../lib/restore/point.ts";

function runOf(requestId: string, second: number, changes: Partial<HistoryRun> = {}): HistoryRun {
  const at = `2026-11-29T09:00:${String(second).padStart(2, "0")}.000Z`;
  return {
    ...{ requestId, startedAt: at, endedAt: at, durationMs: 1, status: "applied", by: "ada" },
    ...{ caller: null, role: "owner", executor: "drizzle", bundleHash: "b", version: "1" },
    ...{ restorePoint: { lsn: `0/${second}`, time: at }, migrations: [], error: null, ...changes },
  };
}

function applied(tag: string, statementsBefore = 0): HistoryRun["migrations"][number] {
  const times = { startedAt: null, endedAt: null, durationMs: 1 };
  return { tag, hash: "h", ...times, statements: 3, statementsBefore };
}

const failure = { code: "MIGRATION_FAILED", sqlstate: null, statement: 2, message: "no" };

/** The newest first. */
const RUNS: readonly HistoryRun[] = [
  runOf("again", 9, { migrations: [applied("0004_rest", 2)] }),
  runOf("half", 8, { status: "failed", error: { ...failure, migration: "0004_rest" } }),
  runOf("nowhere", 7, { restorePoint: null, migrations: [applied("0003_old")] }),
  runOf("many", 6, { migrations: [applied("0001_one"), applied("0002_two")] }),
  runOf("twice", 5),
  runOf("twice", 4),
  runOf("first", 3, { migrations: [applied("0001_one")] }),
  runOf("broken", 2, { status: "failed", error: { ...failure, migration: "0005_never" } }),
];

test.each([
  ["a request id", "first", "0/3"],
  ["the first of two calls with one id", "twice", "0/4"],
  ["a run that failed", "half", "0/8"],
  ["the run that applied a tag with others", "0002_two", "0/6"],
  ["the newest run that applied a tag", "0001_one", "0/6"],
])("goes before %s", (_what, before, lsn) => {
  expect(pointBefore(before, RUNS).lsn).toBe(lsn);
});

test("says what the run has applied", () => {
  expect(pointBefore("0002_two", RUNS)).toEqual({
    ...{ lsn: "0/6", time: "2026-11-29T09:00:06.000Z" },
    run: {
      ...{ requestId: "many", by: "ada", status: "applied" },
      migrations: ["0001_one", "0002_two"],
    },
  });
});

test.each([
  ["nobody knows it", "0009", "no request id and no tag"],
  ["every run failed at it", "0005_never", "1 run failed at it: broken (2026-11-29T09:00:02.000Z)"],
  ["an earlier run had done a part of it", "0004_rest", "an earlier run had done 2 statements"],
  ["its point is not known", "0003_old", "it ended at 2026-11-29T09:00:07.000Z"],
])("is refused where %s", (_what, before, said) => {
  expect(() => pointBefore(before, RUNS)).toThrow(said);
  expect(() => pointBefore(before, RUNS)).toThrow(MigratorError);
});

test.each([
  ["2026-11-29T09:09:00Z", "2026-11-29T09:09:00.000Z"],
  ["2026-11-29T09:09Z", "2026-11-29T09:09:00.000Z"],
  ["2026-11-29T09:09:00.25Z", "2026-11-29T09:09:00.250Z"],
])("reads the time %s", (text, time) => {
  expect(pointInTime(text)).toEqual({ lsn: null, time, run: null });
});

test.each([
  "2026-11-29",
  "2026-11-29T09:09:00",
  "2026-11-29T09:09:00+01:00",
  "2026-13-29T09:09:00Z",
])("takes %s for no time", (text) => {
  expect(pointInTime(text)).toBeNull();
});

import { describe, expect, test } from "vitest";
import { collectResults, type RunEnding } from "../../../lib/fleet/collect.ts";
import { fitFleetReport, MAX_FLEET_REPORT_BYTES } from "../../../lib/fleet/fit-report.ts";
import type { TenantLine } from "../../../lib/fleet/fleet-report.ts";
import { lastEnds, readRecords } from "../../../lib/fleet/results.ts";
import { groupFailures, summarise } from "../../../lib/fleet/summarise.ts";
import { failureOfTenant, preparedRun, recordOf } from "../../setup/fleet.ts";
import { expectFleetReport } from "../../setup/report-schema.ts";

const BY_MACHINE: RunEnding = { broken: null, byMachine: true, begun: null };
const BY_HAND: RunEnding = { ...BY_MACHINE, byMachine: false };
const OVER_BUDGET = { error: "States.ExceedToleratedFailureThreshold", cause: "over" };
const NOW = { forMs: 0, everyMs: 1 };

/** Collects and sums up what lies in a store, as the report does. */
async function reportOn(run: ReturnType<typeof preparedRun>, ending: RunEnding = BY_MACHINE) {
  const results = await collectResults(run.prepared.plan, ending, run.store, NOW);
  const endedAt = "2026-11-29T00:00:10.000Z";
  const { report, tenants } = summarise({ ...ending, prepared: run.prepared, results, endedAt });
  return { report: expectFleetReport(report), tenants };
}

const done = (id: string, status: string, ms = 100) =>
  recordOf(id, { status, applied: status === "applied" ? 2 : 0, latest: "0002_b", ms });

describe("a run", () => {
  test("is applied where all went well, and up-to-date where nothing was to do", async () => {
    const run = preparedRun([["a", "b"], ["c"]]);
    run.end(0, { SUCCEEDED: [done("a", "applied"), done("b", "up-to-date")] });
    run.end(1, { SUCCEEDED: [done("c", "up-to-date", 900)] });

    const { report } = await reportOn(run);

    expect(report).toMatchObject({
      status: "applied",
      counts: { total: 3, applied: 1, upToDate: 2, failed: 0, unknown: 0, pending: 0 },
      durations: { p50: 100, p95: 900, max: 900 },
      slowest: [{ id: "c", ms: 900 }, { id: "a" }, { id: "b" }],
      versions: { "0002_b": 3 },
      behind: { count: 0 },
    });
  });

  test("with 30 % out of order has one line for them, and the command that goes on", async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `t${index}`);
    const run = preparedRun([ids], { toleratedCount: 50 });
    const failed = ids
      .slice(0, 30)
      .map((id) => failureOfTenant(id, "OUT_OF_ORDER", { migration: "0001_a" }));
    run.end(0, { FAILED: failed, SUCCEEDED: ids.slice(30).map((id) => done(id, "applied")) });

    const { report } = await reportOn(run);

    expect(report.failures).toEqual([
      {
        ...{
          code: "OUT_OF_ORDER",
          sqlstate: null,
          migration: "0001_a",
          statement: null,
          count: 30,
        },
        firstIds: ids.slice(0, 10),
        message: "Failed without data.",
      },
    ]);
    expect(report).toMatchObject({
      status: "partial",
      next: "neon-migrate fleet resume",
    });
  });

  test("whose child was aborted says unknown for it, and never failed", async () => {
    const run = preparedRun([["a", "b"]], { toleratedCount: 1 });
    run.end(0, {
      SUCCEEDED: [done("a", "applied")],
      FAILED: [{ ...recordOf("b", {}), Status: "ABORTED", Output: undefined }],
    });

    const { report, tenants } = await reportOn(run);

    expect(tenants[1]).toEqual({ id: "b", status: "unknown", wave: 0 });
    expect(report).toMatchObject({
      status: "partial",
      counts: { failed: 0, unknown: 1 },
      failures: [],
    });
  });

  test.each(["States.Timeout", "Sandbox.Timedout", "Lambda.Unknown"])(
    "whose child ended by %s does not know what became of it, and tells the cause",
    async (error) => {
      const run = preparedRun([["a"]], { toleratedCount: 1 });
      run.end(0, {
        FAILED: [{ ...recordOf("a", {}), Status: "TIMED_OUT", Error: error, Cause: "" }],
      });

      const { report } = await reportOn(run);

      expect(report).toMatchObject({
        status: "failed",
        counts: { unknown: 1 },
        failures: [{ code: error, count: 1 }],
      });
    },
  );

  test("over its budget in the first wave is stopped, and the second has no invocation", async () => {
    const run = preparedRun([["a"], ["b", "c"]]);
    run.end(0, { FAILED: [failureOfTenant("a", "MIGRATION_FAILED")] });

    const { report } = await reportOn(run, { ...BY_MACHINE, broken: OVER_BUDGET });

    expect(report).toMatchObject({
      status: "stopped",
      counts: { failed: 1, pending: 2 },
      waves: [{ overBudget: true }, { pending: 2, overBudget: false }],
      stoppedBy: OVER_BUDGET,
    });
  });

  test("over its budget in its only wave is stopped, too: the budget did not allow it", async () => {
    const run = preparedRun([["a", "b"]]);
    run.end(0, {
      SUCCEEDED: [done("b", "applied")],
      FAILED: [failureOfTenant("a", "MIGRATION_FAILED")],
    });

    const { report } = await reportOn(run, { ...BY_MACHINE, broken: OVER_BUDGET });

    expect(report).toMatchObject({ status: "stopped", counts: { failed: 1, applied: 1 } });
  });

  test("that somebody stopped in a wave has begun nobody of the next one", async () => {
    const run = preparedRun([["a", "b"], ["c"]], { toleratedCount: 1 });
    run.end(0, {
      SUCCEEDED: [done("a", "applied")],
      FAILED: [{ ...recordOf("b", {}), Status: "ABORTED", Output: undefined }],
    });

    const { report } = await reportOn(run, BY_HAND);

    expect(report).toMatchObject({
      status: "stopped",
      counts: { applied: 1, unknown: 1, pending: 1 },
    });
  });

  test("whose manifest never comes is incomplete, and nobody knows what became of its tenants", async () => {
    const { report } = await reportOn(preparedRun([["a"], ["b"]]), {
      ...BY_MACHINE,
      broken: OVER_BUDGET,
    });

    expect(report).toMatchObject({ status: "incomplete", counts: { unknown: 1, pending: 1 } });
  });

  test("whose manifest comes late is waited for", async () => {
    const run = preparedRun([["a"]]);
    run.onList(3, () => run.end(0, { SUCCEEDED: [done("a", "applied")] }));
    const wait = { forMs: 60_000, everyMs: 1 };

    const results = await collectResults(run.prepared.plan, BY_MACHINE, run.store, wait);

    expect(results).toMatchObject([{ state: "ended" }]);
  });

  test("whose map could not read its list has begun nobody", async () => {
    const broken = { error: "States.ItemReaderFailed", cause: "" };

    const { report } = await reportOn(preparedRun([["a"]]), { ...BY_MACHINE, broken });

    expect(report).toMatchObject({ status: "stopped", counts: { pending: 1 } });
  });

  test("that somebody stopped is told as stopped, and a wave that may have begun as unknown", async () => {
    const run = preparedRun([["a"], ["b"], ["c"]]);
    run.end(0, { SUCCEEDED: [done("a", "applied")] });

    const { report } = await reportOn(run, BY_HAND);

    expect(report).toMatchObject({
      status: "stopped",
      counts: { applied: 1, unknown: 1, pending: 1 },
    });
  });

  test.each([
    [1, { unknown: 0, pending: 2 }],
    [2, { unknown: 1, pending: 1 }],
    [3, { unknown: 1, pending: 1 }],
  ])("that somebody stopped, and of whose waves %i had begun, has %j", async (begun, counts) => {
    const run = preparedRun([["a"], ["b"], ["c"]]);
    run.end(0, { SUCCEEDED: [done("a", "applied")] });

    const { report } = await reportOn(run, { ...BY_HAND, begun });

    expect(report).toMatchObject({ status: "stopped", counts: { applied: 1, ...counts } });
  });

  test("with tenants that are gone counts them in a class of their own, by its policy", async () => {
    const gone = failureOfTenant("a", "TARGET_GONE");
    const ended = { FAILED: [gone], SUCCEEDED: [done("b", "applied")] };
    const [strict, lax, alone] = [
      preparedRun([["a", "b"]], { toleratedCount: 1 }),
      preparedRun([["a", "b"]], { toleratedCount: 1, gone: "skip" }),
      preparedRun([["a"]], { toleratedCount: 1, gone: "skip" }),
    ];
    strict.end(0, ended);
    lax.end(0, ended);
    alone.end(0, { FAILED: [gone] });

    const statuses = [await reportOn(strict), await reportOn(lax), await reportOn(alone)];

    expect(statuses.map(({ report }) => report.status)).toEqual(["partial", "applied", "failed"]);
    expect(statuses[1]?.report.counts).toMatchObject({ gone: 1, failed: 0 });
  });
});

describe("results", () => {
  test("of a redriven map count each tenant once, and the last attempt wins", () => {
    const first = { ...failureOfTenant("a", "LOCKED"), StopDate: "2026-11-29T00:00:01Z" };
    const last = { ...done("a", "applied"), StopDate: "2026-11-29T00:05:01Z", RedriveCount: 1 };

    for (const records of [
      [first, last],
      [last, first],
    ]) {
      const ends = lastEnds(readRecords(JSON.stringify(records)) ?? []);

      expect([...ends.values()].map(({ line }) => line.status)).toEqual(["applied"]);
    }
  });

  test("may be in two files, as JSON or JSON lines, of 4 MB", async () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => `t${index}`);
    const run = preparedRun([ids]);
    const padded = ids.map((id) => ({ ...done(id, "applied"), Name: "x".repeat(4_000) }));
    run.end(
      0,
      { SUCCEEDED: padded.slice(0, 1_000), PENDING: [] },
      { SUCCEEDED: padded.slice(1_000) },
    );

    const { report } = await reportOn(run);

    expect(report.counts).toMatchObject({ total: 2_000, applied: 2_000 });
    expect(
      readRecords(
        padded
          .slice(0, 2)
          .map((each) => JSON.stringify(each))
          .join("\n"),
      ),
    ).toHaveLength(2);
  });

  test("that are damaged are none", () => {
    expect(readRecords("?")).toBeNull();
    expect(readRecords('[{"Output":"{}"}]')).toBeNull();
  });

  test("without the input of a tenant are named by their output, and count in their wave where nothing names them", async () => {
    const run = preparedRun([["a", "b", "c"], ["d"]], { toleratedCount: 1 });
    run.end(0, {
      SUCCEEDED: [
        { ...done("a", "applied"), Input: undefined },
        { ...done("b", "applied"), Input: undefined, Output: undefined },
      ],
      FAILED: [{ ...failureOfTenant("c", "MIGRATION_FAILED"), Input: undefined }],
    });

    const { report, tenants } = await reportOn(run);

    expect(tenants.map(({ id, status }) => [id, status])).toEqual([
      ["a", "applied"],
      ...["b", "c", "d"].map((id) => [id, "unknown"]),
    ]);
    expect(report).toMatchObject({
      status: "incomplete",
      waves: [{ applied: 1, unknown: 2, overBudget: false }, { unknown: 1 }],
    });
  });

  test("that name nobody count against the budget all the same", async () => {
    const run = preparedRun([["a", "b"], ["c"]], { toleratedCount: 1 });
    const nameless = { ...failureOfTenant("a", "MIGRATION_FAILED"), Input: undefined };
    run.end(0, { FAILED: [nameless, nameless] });

    const { report } = await reportOn(run, { ...BY_MACHINE, broken: OVER_BUDGET });

    expect(report).toMatchObject({
      counts: { unknown: 2, pending: 1 },
      waves: [{ overBudget: true }, { pending: 1 }],
    });
  });

  test("with a cause that was cut keep their code", () => {
    const [end] =
      readRecords(
        JSON.stringify([{ ...failureOfTenant("a", "MIGRATION_FAILED"), Cause: '{"errorMess' }]),
      ) ?? [];

    expect(end?.line).toMatchObject({ status: "failed", code: "MIGRATION_FAILED", message: "" });
  });
});

describe("a report of any size", () => {
  test("has 20 KB at most, and groups, ids and versions in it", async () => {
    const ids = Array.from({ length: 3_000 }, (_, index) => `${index}${"ß".repeat(190)}`);
    const run = preparedRun([ids], { toleratedCount: 3_000 });
    const failed = ids.map((id, index) =>
      failureOfTenant(id, "MIGRATION_FAILED", {
        migration: `00_${"m".repeat(200)}_${index}`,
        words: "w".repeat(500),
      }),
    );
    run.end(0, { FAILED: failed });

    const { report } = await reportOn(run);
    const fitted = expectFleetReport(fitFleetReport(report));

    expect(Buffer.byteLength(JSON.stringify(fitted))).toBeLessThanOrEqual(MAX_FLEET_REPORT_BYTES);
    expect(fitted).toMatchObject({ shortened: true, counts: { failed: 3_000 } });
    expect(fitted.failures.length).toBeGreaterThan(0);
  });

  test("groups by code, SQLSTATE, migration and statement", () => {
    const line = (id: string, code: string, statement: number | null): TenantLine => ({
      ...{ id, status: "failed", wave: 0, code, sqlstate: "23505", migration: "0001_a", statement },
    });

    const groups = groupFailures([
      line("a", "X", 1),
      line("b", "X", 2),
      line("c", "X", 2),
      line("d", "Y", 2),
    ]);

    expect(groups.map(({ code, statement, firstIds }) => [code, statement, firstIds])).toEqual([
      ["X", 2, ["b", "c"]],
      ["X", 1, ["a"]],
      ["Y", 2, ["d"]],
    ]);
  });
});

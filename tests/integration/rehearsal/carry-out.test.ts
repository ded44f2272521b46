import { Client } from "pg";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { type Log, silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { carryOut } from "../../../lib/rehearsal/carry-out.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import type { Target } from "../../../lib/target/target.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { useNeon } from "../../setup/neon.ts";
import { expectReport } from "../../setup/report-schema.ts";
import { targetOf } from "../../setup/run.ts";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});

/** Each test has a ledger of its own. */
function production(table: string): Target {
  const ledger = { schema: "drizzle", table };
  return targetOf(scene.neon.productionUrl, scene.relay.address, { ledger });
}

async function apply(
  target: () => Target | Promise<Target>,
  bundle: Bundle,
  request: object,
  log: Log = silentLog,
): Promise<Report> {
  const { apiKey: key, projectId, url } = scene.neon;
  const report = await carryOut(parseRequest(request), {
    ...{ bundle, requestId: "apply", deadline: null, log, target },
    access: () => Promise.resolve({ key, projectId, url }),
  });
  return expectReport(JSON.parse(JSON.stringify(report)));
}

/** A log that lets so much time have passed at an event, once. */
function atEvent(name: string, ms: number): Log {
  const { now } = Date;
  const end = now() + ms;
  onTestFinished(() => void vi.restoreAllMocks());
  return (event) => {
    const skippedMs = end - now();
    if (event === name) vi.spyOn(Date, "now").mockImplementation(() => now() + skippedMs);
  };
}

const tablesOf = async (pattern: string) =>
  await scene.neon
    .branch("main")
    .sql("select relname as name from pg_class where relkind = 'r' and relname like $1", [pattern]);

describe("up with rehearsal: first", () => {
  test("applies behind a rehearsal that went well, and tells of both", async () => {
    const target = production("both");
    const bundle = makeBundle(makeMigration("0000_both", 1_000, "create table both_t (id int)"));

    const report = await apply(() => target, bundle, { rehearsal: "first" });

    expect(report).toMatchObject({
      status: "applied",
      applied: [{ tag: "0000_both" }],
      rehearsal: { status: "passed", applied: [{ tag: "0000_both" }] },
    });
    expect(await tablesOf("both_t")).toHaveLength(1);
  });

  test("leaves production untouched where the rehearsal fails", async () => {
    const target = production("bad");
    const bundle = makeBundle(
      makeMigration("0000_bad", 1_000, "create table bad_t (id int)", "select 1 / 0"),
    );

    const report = await apply(() => target, bundle, { rehearsal: "first" });

    expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", migration: "0000_bad" });
    expect(report.rehearsal?.status).toBe("failed");
    expect(await tablesOf("bad%")).toEqual([]);
  });

  test("rehearsal passes, somebody migrates, then apply: REHEARSAL_STALE", async () => {
    const target = production("stale");
    const first = makeMigration("0000_stale", 1_000, "create table stale_t (id int)");
    const bundle = makeBundle(first, makeMigration("0001_stale", 2_000, "create table stale_u ()"));
    let asked = 0;
    // The look at production and the rehearsal have read the target by then. The run reads it next: that is the moment.
    const findTarget = async () => {
      asked += 1;
      if (asked === 3) {
        const between = await migrate(parseRequest({}), {
          ...{ bundle: makeBundle(first), target: () => target, requestId: "between" },
          ...{ deadline: null, log: silentLog },
        });
        expect(between.error).toBeUndefined();
      }
      return target;
    };

    const report = await apply(findTarget, bundle, { rehearsal: "first" });

    expect(report.error).toMatchObject({ code: "REHEARSAL_STALE", retryable: true });
    expect(report.error?.message).toContain(
      "0000_stale, 0001_stale was pending then, and 0001_stale is pending under the lock. Nothing was run;",
    );
    expect(await tablesOf("stale\\__")).toEqual([{ name: "stale_t" }]);
  });

  test("rehearsal passes, apply meets a lock: ordinary LOCK_TIMEOUT, no blame on the rehearsal", async () => {
    const target = production("lock");
    const first = makeMigration("0000_lock", 1_000, "create table lock_t (id int)");
    const bundle = makeBundle(first, makeMigration("0001_lock", 2_000, "drop table lock_t"));
    await apply(() => target, makeBundle(first), {});
    const holder = new Client(scene.neon.branch("main").url);
    await holder.connect();
    onTestFinished(() => holder.end());
    let asked = 0;
    const findTarget = async () => {
      asked += 1;
      if (asked === 3) await holder.query("begin; lock table lock_t");
      return target;
    };
    const log = atEvent("transaction.retry", 599_000);

    const report = await apply(
      findTarget,
      bundle,
      { rehearsal: "first", timeoutMs: 600_000, ddlLockTimeoutMs: 300 },
      log,
    );

    expect(report.error).toMatchObject({
      code: "LOCK_TIMEOUT",
      sqlstate: "55P03",
      retryable: true,
    });
    expect(report.error?.message).not.toMatch(/rehears/i);
    expect(report.rehearsal?.status).toBe("passed");
  });

  test("an outage of Neon's API fails closed, and can be retried", async () => {
    const target = production("outage");
    const bundle = makeBundle(makeMigration("0000_outage", 1_000, "create table outage_t ()"));
    scene.neon.fail("listProjectEndpoints", { status: 401, message: "revoked" });

    const report = await apply(() => target, bundle, { rehearsal: "first" });

    expect(report.error?.code).toBe("REHEARSAL_UNAVAILABLE");
    expect(await tablesOf("outage_t")).toEqual([]);
  });
});

describe("up with rehearsal: first and nothing pending", () => {
  test("makes no branch, and needs no API: so a stack can be rolled back while it is away", async () => {
    const target = production("nothing");
    const applied = makeMigration("0000_nothing", 1_000, "create table nothing_t ()");
    const newer = makeMigration("0001_nothing", 2_000, "create table nothing_u ()");
    const before = await apply(() => target, makeBundle(applied, newer), {});
    const calls = scene.neon.calls.length;

    const same = await apply(() => target, makeBundle(applied, newer), { rehearsal: "first" });
    const older = await apply(() => target, makeBundle(applied), { rehearsal: "first" });

    expect(before.status).toBe("applied");
    expect([same, older]).toMatchObject([
      { status: "up-to-date", rehearsal: null },
      { status: "up-to-date", rehearsal: null },
    ]);
    expect(scene.neon.calls.length).toBe(calls);
  });

  test("a plan that is refused is refused before a branch is made", async () => {
    const target = production("order");
    const first = makeMigration("0000_order", 1_000, "create table order_t ()");
    const second = makeMigration("0001_order", 2_000, "create table order_u ()");
    await apply(() => target, makeBundle(second), {});
    const calls = scene.neon.calls.length;

    const report = await apply(() => target, makeBundle(first, second), { rehearsal: "first" });

    expect(report.error?.code).toBe("OUT_OF_ORDER");
    expect(scene.neon.calls.length).toBe(calls);
  });
});

test("the request's time holds for the rehearsal and the run together", async () => {
  const target = production("time");
  const bundle = makeBundle(makeMigration("0000_time", 1_000, "create table time_t ()"));
  const now = Date.now;
  const timeoutMs = 60_000;
  const over = now() + timeoutMs;
  onTestFinished(() => void vi.restoreAllMocks());
  let asked = 0;
  // The run reads its target behind the rehearsal. At that moment the time of the whole is over.
  const findTarget = () => {
    asked += 1;
    const skippedMs = over - now();
    if (asked === 3) vi.spyOn(Date, "now").mockImplementation(() => now() + skippedMs);
    return target;
  };

  const report = await apply(findTarget, bundle, { rehearsal: "first", timeoutMs });

  expect(report.error?.code).toBe("DEADLINE");
  expect(report.rehearsal?.status).toBe("passed");
  expect(await tablesOf("time_t")).toEqual([]);
});

test("a rehearsal in front of a run leaves the run its share of the time, and the error says what took it", async () => {
  const target = production("share");
  const bundle = makeBundle(makeMigration("0000_share", 1_000, "create table share_t ()"));
  // The rehearsal may have 60 s, and keeps 15 s of them for the deletion.
  const log = atEvent("rehearsal.ready", 50_000);

  const request = { rehearsal: "first", timeoutMs: 100_000 };
  const report = await apply(() => target, bundle, request, log);

  expect(report.error).toMatchObject({ code: "DEADLINE" });
  expect(report.error?.message).toMatch(
    /The rehearsal in front of the run took \d+\.\d s of the \d+\.\d s that it may have/,
  );
  expect(scene.neon.branchNames()).toEqual(["main"]);
});

test("up with rehearsal: try goes on without Neon's API, with a warning", async () => {
  const target = production("try");
  const bundle = makeBundle(makeMigration("0000_try", 1_000, "create table try_t ()"));
  scene.neon.fail("listProjectEndpoints", { status: 401, message: "revoked" });

  const report = await apply(() => target, bundle, { rehearsal: "try" });

  expect(report).toMatchObject({ status: "applied", rehearsal: null });
  expect(report.warnings.map(({ code }) => code)).toContain("NOT_REHEARSED");
  expect(await tablesOf("try_t")).toHaveLength(1);
});

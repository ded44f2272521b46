import { describe, expect } from "vitest";
import type { Report } from "../../../lib/report/report.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int primary key, email text)",
  "select pg_sleep(1)",
  "insert into accounts values (1, 'a')",
);

/** The end of a migration, in ms since its run began. */
function endOf({ startedMs = 0, statementMs = [] }: Report["applied"][number]): number {
  return statementMs.reduce<number>((sum, ms) => sum + (ms ?? 0), startedMs);
}

function isWaiting(database: TestDatabase, application: string): Promise<void> {
  return waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
         and strpos(application_name, $1) > 0 and clock_timestamp() - query_start > interval '700 ms'`,
      [application],
    );
    return rows.length > 0;
  });
}

/** Waits until a run has looked from here on at who waits. */
async function hasLooked(database: TestDatabase): Promise<void> {
  const [{ now } = {}] = await database.sql("select clock_timestamp()::text as now");
  await waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and state = 'idle'
         and strpos(application_name, 'neon-migrate/') > 0
         and query_start > $1::timestamptz`,
      [now],
    );
    return rows.length > 0;
  });
}

describe.each(["drizzle", "statements"])("with the executor %s, a report", (executor) => {
  test("says when each migration began, and how long each statement took", async ({ target }) => {
    const more = makeMigration("0001_more", 2_000, "alter table accounts add column name text");

    const report = await run(target, makeBundle(accounts, more), { executor });
    const [first, second] = report.applied;

    expect(first?.statementMs).toEqual([
      expect.any(Number),
      expect.any(Number),
      expect.any(Number),
    ]);
    expect(first?.statementMs?.[1]).toBeGreaterThan(500);
    expect(second?.statementMs).toEqual([expect.any(Number)]);
    expect(first?.startedMs).toBeGreaterThan(0);
    expect(second?.startedMs).toBeGreaterThanOrEqual(first === undefined ? 0 : endOf(first));
    expect(second === undefined ? 0 : endOf(second)).toBeLessThanOrEqual(report.timings.totalMs);
    expect(report).toMatchObject({ waits: [], stalls: [] });
  });

  test("says how far the failed one came", async ({ target }) => {
    const failing = makeMigration("0001_failing", 2_000, "select 1", "select pg_sleep(0.2), 1/0");
    const never = makeMigration("0002_never", 3_000, "select 1");

    const report = await run(target, makeBundle(accounts, failing, never), { executor });
    const [undone, failed, after] = report.pending;

    expect(undone?.statementMs).toHaveLength(3);
    expect(failed?.statementMs).toHaveLength(2);
    expect(failed?.startedMs).toBeGreaterThan(undone?.startedMs ?? Infinity);
    expect(after).not.toHaveProperty("startedMs");
  });

  test("says whom a statement waited for, and who waited for it", async ({ database, target }) => {
    await run(target, makeBundle(accounts));
    const reader = await database.hold("select from accounts");
    const altering = makeMigration(
      "0001_altering",
      2_000,
      "select 1",
      "alter table accounts add column name text",
    );

    // One try, however slow the machine is.
    const asked = { executor, ddlLockTimeoutMs: 600_000 };
    const running = run(target, makeBundle(accounts, altering), asked);
    await isWaiting(database, "neon-migrate/");
    const late = database.sql(
      "set application_name = 'late'; lock table accounts in access share mode",
    );
    await isWaiting(database, "late");
    await hasLooked(database);
    await reader.release();
    const report = await running;
    await late;

    expect(report.waits).toEqual([
      {
        ...{ migration: altering.tag, statement: 2 },
        ...{ startedMs: expect.any(Number), durationMs: expect.any(Number) },
        blockedBy: [{ pid: reader.pid, gid: null, application: "", role: database.owner.name }],
      },
    ]);
    expect(report.waits[0]?.durationMs).toBeGreaterThan(650);
    expect(report.stalls).toEqual([
      {
        ...{ migration: altering.tag, statement: 2, sessions: 1 },
        ...{ startedMs: expect.any(Number), durationMs: expect.any(Number) },
        longestMs: expect.any(Number),
        examples: [{ pid: expect.any(Number), gid: null, application: "late", role: "postgres" }],
      },
    ]);
    expect(JSON.stringify([report.waits, report.stalls])).not.toContain("select from");
  });
});

test("tries of a statement that no transaction can hold are one wait", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(accounts));
  const reader = await database.hold("select from accounts");
  const vacuuming = makeMigration("0001_vacuuming", 2_000, "vacuum full accounts");

  const running = run(target, makeBundle(accounts, vacuuming), { ddlLockTimeoutMs: 500 });
  await waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and strpos(application_name, 'neon-migrate/') > 0
         and clock_timestamp() - backend_start > interval '3 s'`,
    );
    return rows.length > 0;
  });
  await reader.release();
  const report = await running;

  expect(report.waits).toMatchObject([
    { migration: vacuuming.tag, statement: 1, blockedBy: [{ pid: reader.pid }] },
  ]);
  expect(report.waits[0]?.durationMs).toBeGreaterThan(1_000);
  expect(report.applied[0]?.statementMs).toEqual([expect.any(Number)]);
});

test("a wait for the migration lock names the other run", async ({ database, target }) => {
  const slow = makeMigration("0000_slow", 1_000, "select pg_sleep(4)");
  const first = run(target, makeBundle(slow));
  await waitFor(async () => {
    const rows = await database.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    return rows.length > 0;
  });

  const second = await run(target, makeBundle(slow));
  await first;

  expect(second).toMatchObject({
    status: "up-to-date",
    waits: [
      {
        ...{ migration: null, statement: null },
        blockedBy: [{ application: "neon-migrate/test", role: database.owner.name }],
      },
    ],
  });
  expect(second.waits[0]?.durationMs).toBeGreaterThanOrEqual(second.timings.lockMs - 5);
});

test("the answer to status has no times", async ({ target }) => {
  await run(target, makeBundle(accounts));

  const report = await run(target, makeBundle(accounts), { action: "status" });

  expect(report).toMatchObject({ waits: [], stalls: [] });
  expect(report.applied[0]).not.toHaveProperty("statementMs");
});

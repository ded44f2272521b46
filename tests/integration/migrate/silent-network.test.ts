import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { describe, expect, onTestFinished, vi } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import { connect } from "../../../lib/connection/connect.ts";
import { acquireLock } from "../../../lib/ledger/lock.ts";
import { silentLog } from "../../../lib/log.ts";
import type { Report } from "../../../lib/report/report.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import { type StillClock, stopClock } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";
import { run } from "../../setup/run.ts";
import { ENDING, makeSlowEnd, openGate } from "../../setup/slow-end.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const TIMEOUT_MS = 600_000;
const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int, balance int not null)",
  "insert into accounts values (1, 100)",
);
const booking = makeMigration(
  "0001_booking",
  2_000,
  "update accounts set balance = balance + 1",
  "insert into bookings values (1)",
);
const AT_GATE =
  "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.01); end loop; end $$";

async function count(database: TestDatabase, from: string): Promise<number> {
  const [row] = await database.sql(`select count(*)::int as n from ${from}`);
  return Number(row?.n);
}

const OURS =
  "pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database()";

/** Lets the time pass until the run has ended. */
async function ended(clock: StillClock, running: Promise<Report>): Promise<Report> {
  let over = false;
  const ending = running.finally(() => {
    over = true;
  });
  ending.catch(() => undefined);
  await clock.until(() => over, 100);
  return await ending;
}

const shown = (report: Report) =>
  renderReport(report, {
    action: "up",
    folder: null,
    bundle: null,
    colors: pc.createColors(false),
  });
const CLEAN = "No pending migration has left anything behind.";

describe("a deadline behind a COMMIT that was sent", () => {
  const committing = (database: TestDatabase) =>
    waitFor(
      async () =>
        (await count(
          database,
          `${OURS} and query ilike 'set constraints%' and wait_event = 'PgSleep'`,
        )) > 0,
    );
  const committed = (database: TestDatabase) =>
    waitFor(async () => (await count(database, "bookings")) === 1);

  test.for(["drizzle", "statements"])(
    "is no failure where the ledger says that it was committed (%s)",
    async (executor, { database, relay, target }) => {
      await makeSlowEnd(database);
      const clock = stopClock();
      const bundle = makeBundle(accounts, booking);
      const running = run(target, bundle, { executor, timeoutMs: TIMEOUT_MS });
      await committing(database);
      relay.swallow();
      await openGate(database);
      await committed(database);
      await clock.advance(TIMEOUT_MS);

      const report = await ended(clock, running);

      expect(report).toMatchObject({
        status: "applied",
        applied: [{ tag: accounts.tag }, { tag: booking.tag }],
        pending: [],
      });
      expect(await database.sql("select balance from accounts")).toEqual([{ balance: 101 }]);
    },
  );

  test("promises nothing where nobody can be asked", async ({ database, relay, target }) => {
    await makeSlowEnd(database);
    const clock = stopClock();
    const running = run(target, makeBundle(accounts, booking), { timeoutMs: TIMEOUT_MS });
    await committing(database);
    relay.silence();
    await openGate(database);
    await committed(database);
    await clock.advance(TIMEOUT_MS);

    const report = await ended(clock, running);

    expect(report).toMatchObject({ status: "failed", atomic: false, error: { code: "DEADLINE" } });
    expect(report.error?.message).toContain("only the ledger knows what was committed");
    expect(shown(report)).not.toContain(CLEAN);
    relay.silence(false);
    expect(await clock.run(run(target, makeBundle(accounts, booking)))).toMatchObject({
      status: "up-to-date",
    });
  });

  test("promises nothing while the session that was lost still commits", async ({
    database,
    relay,
    target,
  }) => {
    await makeSlowEnd(database);
    const clock = stopClock();
    const running = run(target, makeBundle(accounts, booking), { timeoutMs: TIMEOUT_MS });
    await committing(database);
    relay.swallow();
    // Whoever comes to cancel the COMMIT does not find it.
    await database.sql("revoke execute on function pg_cancel_backend(int) from public");
    await clock.advance(TIMEOUT_MS);

    const report = await ended(clock, running);
    await openGate(database);
    await committed(database);

    expect(report).toMatchObject({ status: "failed", atomic: false, error: { code: "DEADLINE" } });
    expect(shown(report)).not.toContain(CLEAN);
  });

  test("leaves nothing behind, and says so, where the session has ended without it", async ({
    database,
    relay,
    target,
  }) => {
    await makeSlowEnd(database);
    const clock = stopClock();
    const running = run(target, makeBundle(accounts, booking), { timeoutMs: TIMEOUT_MS });
    await committing(database);
    relay.swallow();
    await database.sql(`select pg_terminate_backend(pid) from ${OURS} and ${ENDING}`);
    await clock.advance(TIMEOUT_MS);

    const report = await ended(clock, running);

    expect(report).toMatchObject({ status: "failed", atomic: true, error: { code: "DEADLINE" } });
    expect(report.error?.message).toContain("has no row in the ledger");
    expect(shown(report)).toContain(CLEAN);
    expect(await database.sql("select to_regclass('accounts') as accounts")).toEqual([
      { accounts: null },
    ]);
    expect(await count(database, "bookings")).toBe(0);
  });

  test("keeps what earlier transactions have applied, and does not call that nothing", async ({
    database,
    relay,
    target,
  }) => {
    await makeSlowEnd(database);
    const running = run(target, makeBundle(accounts, booking), { transaction: "each" });
    await committing(database);
    relay.cutAll();
    await database.sql(`select pg_terminate_backend(pid) from ${OURS} and ${ENDING}`);
    await database.sqlAsOwner(
      "create function fail() returns trigger language plpgsql as $$ begin raise 'no'; end $$",
    );
    await database.sql("drop trigger slow on bookings");
    await database.sql(
      "create trigger fails before insert on bookings for each row execute function fail()",
    );
    await openGate(database);

    const report = await running;

    expect(report).toMatchObject({
      status: "failed",
      atomic: false,
      applied: [{ tag: accounts.tag }],
    });
    expect(shown(report)).not.toContain(CLEAN);
    expect(await count(database, "accounts")).toBe(1);
  });
});

describe("a network that swallows everything in the middle of a statement", () => {
  /** The clock of the pings alone. */
  function stopPings(): (ms: number) => void {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    return (ms) => vi.advanceTimersByTime(ms);
  }
  const atGate = (database: TestDatabase) =>
    waitFor(async () => (await count(database, `${OURS} and wait_event = 'PgSleep'`)) > 0);

  test.for<[string, string, string[]]>([
    ["a transaction", "select 1", []],
    [
      "a transaction behind a statement that stands alone",
      "create index concurrently on accounts (id)",
      // The transaction would have had its record.
      ["STEP_FOUND_DONE"],
    ],
  ])(
    "costs the session, and no more: %s",
    async ([_what, first, also], { database, relay, target }) => {
      await database.sqlAsOwner("create table gate (id int)");
      const pass = stopPings();
      const slow = makeMigration(
        "0001_slow",
        2_000,
        first,
        "insert into accounts values (2, 0)",
        AT_GATE,
      );
      const running = run(target, makeBundle(accounts, slow));
      const sleepers = `select pid from ${OURS} and wait_event = 'PgSleep'`;
      await atGate(database);
      const [lost] = await database.sql(sleepers);

      relay.swallow();
      pass(30_000);
      // The session that was lost would hold the lock for as long as the gate is closed.
      await waitFor(async () => {
        const pids = (await database.sql(sleepers)).map(({ pid }) => pid);
        return pids.length === 1 && pids[0] !== lost?.pid;
      });
      await openGate(database);

      const report = await running;
      expect(report).toMatchObject({ status: "applied" });
      expect(report.warnings.map(({ code }) => code)).toEqual(["CONNECTION_LOST", ...also]);
      expect(report.warnings[0]?.message).toContain("not answered 2 pings");
      expect(await count(database, "accounts")).toBe(2);
      expect(await count(database, "drizzle.__drizzle_migrations")).toBe(2);
    },
  );

  test("is told from a statement that takes its time", async ({ database, target }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const pass = stopPings();
    const running = run(target, makeBundle(accounts, makeMigration("0001_slow", 2_000, AT_GATE)));
    await atGate(database);

    for (let times = 0; times < 30; times += 1) {
      pass(10_000);
      // The answer to a ping has come by then.
      await database.sqlAsOwner("select 1");
      await database.sqlAsOwner("select 1");
    }
    await openGate(database);

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
  });

  test("is told from a server that reads nothing while it works", async ({
    database,
    relay,
    target,
  }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const pass = stopPings();
    const large = `insert into accounts select 2, 0 where 'x' <> '${"x".repeat(20_000_000)}'`;
    const running = run(
      target,
      makeBundle(accounts, makeMigration("0001_large", 2_000, AT_GATE, large)),
    );
    await atGate(database);
    await waitFor(() => relay.stats().bytesToServer > 1_000_000);

    pass(120_000);
    await openGate(database);

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(await count(database, "accounts")).toBe(2);
  });
});

describe("a process that dies where nobody tells the server", () => {
  const CASES = [
    {
      what: "a transaction",
      statements: ["update accounts set balance = balance + 1", AT_GATE],
      begin: async (database: TestDatabase) => {
        await database.sqlAsOwner("create table gate (id int)");
        return () => openGate(database);
      },
      runs: "state = 'active' and query like '%from gate%'",
      // Everything was sent, its COMMIT included.
      next: { status: "up-to-date", warnings: [] },
      balance: 101,
    },
    {
      what: "a statement that stands alone",
      statements: ["create index concurrently on accounts (balance)"],
      begin: async (database: TestDatabase) => {
        const writer = await database.hold("update accounts set balance = 1");
        return () => writer.release();
      },
      runs: "query like 'create index%' and wait_event_type = 'Lock'",
      // Its record was not.
      next: { status: "applied", warnings: [{ code: "STEP_FOUND_DONE" }] },
      balance: 100,
    },
  ];

  test.for(CASES)(
    "leaves $what to its end, and then the lock to the next run",
    async (each, { database, relay, target }) => {
      const scratch = mkdtempSync(join(tmpdir(), "vanished-"));
      onTestFinished(() => rmSync(scratch, { recursive: true }));
      const slow = makeMigration("0001_slow", 2_000, ...each.statements);
      writeJournaledFolder(scratch, [accounts, slow]);
      await run(target, makeBundle(accounts));
      const goOn = await each.begin(database);
      const lives = () => count(database, `${OURS} and ${each.runs}`);
      const environment = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
      await neonMigrate(["up", "--folder", scratch], environment, async (kill) => {
        await waitFor(async () => (await lives()) === 1);
        relay.swallow();
        kill("SIGKILL");
      });

      // While it runs the next run takes nobody for dead, and names it.
      const next = await connect(target, {
        ...{ requestId: "next", deadline: Date.now() + TIMEOUT_MS, log: silentLog, opening: {} },
      });
      const lock = { deadline: Date.now() + TIMEOUT_MS, log: silentLog, abandonedAfterMs: 200 };
      const refused = acquireLock(next, DEFAULT_LEDGER, { ...lock, timeoutMs: 3_000 });
      await expect(refused).rejects.toMatchObject({
        code: "LOCKED",
        message: expect.stringContaining("pg_terminate_backend("),
      });
      expect(await lives()).toBe(1);
      await goOn();
      const warnings = await acquireLock(next, DEFAULT_LEDGER, { ...lock, timeoutMs: TIMEOUT_MS });
      await next.close();

      expect(warnings.map(({ code }) => code)).toEqual(["ABANDONED_SESSION_ENDED"]);
      expect(await run(target, makeBundle(accounts, slow))).toMatchObject(each.next);
      expect(await database.sql("select balance from accounts")).toEqual([
        { balance: each.balance },
      ]);
    },
  );
});

describe("a runner that is frozen while it sends", () => {
  test("loses the lock to the next one, and nothing of its transaction stays", async ({
    database,
    relay,
    target,
  }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const scratch = mkdtempSync(join(tmpdir(), "frozen-"));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    const insert = `insert into large select 1 where 'x' <> '${"x".repeat(100_000)}';`;
    const sql = ["create table large (n int);", `${AT_GATE};`, ...Array(400).fill(insert)].join(
      "\n",
    );
    writeJournaledFolder(scratch, [{ tag: "0000_large", when: 1_000, sql }]);
    const environment = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
    const frozen = await neonMigrate(["up", "--folder", scratch], environment, async (kill) => {
      await waitFor(
        async () =>
          (await count(database, `${OURS} and wait_event = 'PgSleep'`)) > 0 &&
          relay.stats().bytesToServer > 1_000_000,
      );
      kill("SIGSTOP");
      await openGate(database);
      await waitFor(
        async () => (await count(database, `${OURS} and wait_event = 'ClientRead'`)) > 0,
      );
      const living = await connect(target, {
        ...{ requestId: "living", deadline: Date.now() + TIMEOUT_MS, log: silentLog, opening: {} },
      });
      const warnings = await acquireLock(living, DEFAULT_LEDGER, {
        ...{ timeoutMs: TIMEOUT_MS, deadline: Date.now() + TIMEOUT_MS, log: silentLog },
        abandonedAfterMs: 200,
      });
      expect(warnings.map(({ code }) => code)).toEqual(["ABANDONED_SESSION_ENDED"]);
      await living.close();
      expect(await database.sql("select to_regclass('large') as large")).toEqual([{ large: null }]);
      kill("SIGKILL");
    });
    expect(frozen.exitCode).toBeNull();
  });

  test("has a session that the server ends by itself some time after its deadline", async ({
    database,
    target,
  }) => {
    const telling = makeMigration(
      "0000_telling",
      1_000,
      `create table told as select name::text, setting::int / 1000 as seconds from pg_settings
       where name in ('transaction_timeout', 'idle_in_transaction_session_timeout')`,
    );
    await run(target, makeBundle(telling), { timeoutMs: 100_000 });

    const told = await database.sql("select * from told order by name");
    const limits = Object.fromEntries(told.map(({ name, seconds }) => [name, seconds]));
    expect(limits.idle_in_transaction_session_timeout).toBe(60);
    const [server] = await database.sql(
      "select current_setting('server_version_num')::int as number",
    );
    if (Number(server?.number) >= 170_000) {
      expect(limits.transaction_timeout).toBeGreaterThan(0);
      expect(limits.transaction_timeout).toBeLessThanOrEqual(130);
    }
  });
});

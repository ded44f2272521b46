import { describe, expect, vi } from "vitest";
import type { Relay } from "../../../local/relay/relay.ts";
import { stopDate } from "../../setup/clock.ts";
import type { Holder, TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { isTrial } from "../../setup/tries.ts";
import { waitFor } from "../../setup/wait-for.ts";

const EXECUTORS = ["drizzle", "statements"] as const;
const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int primary key, balance int not null)",
  "insert into accounts values (1, 100)",
);
/** Running it twice shows. */
const booking = makeMigration(
  "0001_booking",
  2_000,
  "update accounts set balance = balance + 1 where id = 1",
);
const bundle = makeBundle(accounts, booking);

async function balance(database: TestDatabase): Promise<unknown> {
  return (await database.sql("select balance from accounts"))[0]?.balance;
}

async function ledgerLength(database: TestDatabase): Promise<unknown> {
  const [row] = await database.sql("select count(*)::int as n from drizzle.__drizzle_migrations");
  return row?.n;
}

/** Takes away what runs have left, the ledger included. */
async function clear(database: TestDatabase): Promise<void> {
  await database.sqlAsOwner("drop table if exists accounts; drop schema if exists drizzle cascade");
}

/** Stays in it until somebody fills the table `gate`. */
const AT_GATE =
  "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.01); end loop; end $$";

/** What went through the connection of the last run: where it takes long, another one looks for whom it waits. */
function trafficOfFirst(relay: Relay) {
  const [first] = relay.stats().perConnection;
  return first ?? { bytesToServer: 0, bytesToClient: 0 };
}

/** Whether a statement like this waits for a lock that the run has, or asked for first. */
async function isBehindRun(database: TestDatabase, statement: string): Promise<boolean> {
  const rows = await database.sql(
    `select from pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) as b (pid)
     join pg_stat_activity run on run.pid = b.pid
     where a.datname = current_database() and a.query like $1 and run.application_name = 'neon-migrate/test'`,
    [`%${statement}%`],
  );
  return rows.length > 0;
}

/** Calls a function of PostgreSQL for the session of the run that stands at the gate. @returns whether one did */
async function atGate(database: TestDatabase, call: string): Promise<boolean> {
  const rows = await database.sql(
    `select ${call} from pg_stat_activity where query like '%from gate%' and application_name like 'neon-migrate/%' and state = 'active' and datname = current_database()`,
  );
  return rows.length > 0;
}

const openGate = (database: TestDatabase) => database.sqlAsOwner("insert into gate values (1)");

/** Some places in a direction of a connection; `npm run faults` visits many more. */
const SHARES = isTrial() ? [0.2, 0.5, 0.8, 0.97] : [0.6, 0.97];

describe.each(EXECUTORS)("a connection that is cut during a run by %s", (executor) => {
  test("costs nothing and doubles nothing, wherever in the bytes it comes", async ({
    database,
    relay,
    target,
  }) => {
    await run(target, bundle, { executor });
    const { bytesToServer: toServer, bytesToClient: toClient } = trafficOfFirst(relay);
    const places = Object.entries({ toServer, toClient } as const).flatMap(([direction, total]) =>
      SHARES.map((share) => ({
        direction: direction === "toServer" ? ("toServer" as const) : ("toClient" as const),
        bytes: Math.floor(total * share),
      })),
    );

    for (const place of places) {
      await clear(database);
      relay.cutAfterBytes(place);
      relay.resetStats();
      const report = await run(target, bundle, { executor });

      expect(relay.stats().connections).toBeGreaterThan(1);
      expect([place, report.status, await balance(database), await ledgerLength(database)]).toEqual(
        [place, "applied", 101, 2],
      );
      expect(report.applied.map(({ tag }) => tag)).toEqual([accounts.tag, booking.tag]);
    }
  });
});

describe("a session that the server ends", () => {
  test("is replaced, and the run goes on", async ({ database, target }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const slow = makeMigration("0002_slow", 3_000, AT_GATE);
    const running = run(target, makeBundle(accounts, booking, slow));
    await waitFor(() => atGate(database, "pg_terminate_backend(pid)"));
    await openGate(database);

    const report = await running;

    expect(report).toMatchObject({ status: "applied", pending: [] });
    expect(report.warnings.map(({ code }) => code)).toEqual(["CONNECTION_LOST"]);
    expect(report.warnings[0]?.message).toContain("administrator command");
    expect(await balance(database)).toBe(101);
  });

  test("is reported by the first error that was seen, with its place, when it happens every time", async ({
    database,
    target,
  }) => {
    const suicide = makeMigration(
      "0000_suicide",
      1_000,
      "create table never ()",
      "select pg_terminate_backend(pg_backend_pid())",
    );

    const report = await run(target, makeBundle(suicide));

    expect(report.error).toMatchObject({
      code: "CONNECTION_LOST",
      sqlstate: "57P01",
      migration: suicide.tag,
      statement: { index: 2 },
      retryable: true,
    });
    expect(await database.sql("select to_regclass('never') as never")).toEqual([{ never: null }]);
  });
});

test("a statement that cannot connect to somewhere else has failed, and is not tried again", async ({
  target,
}) => {
  const fail = "do $$ begin raise 'no way to the other server' using errcode = '08001'; end $$";

  const report = await run(target, makeBundle(makeMigration("0000_linked", 1_000, fail)));

  expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate: "08001" });
  expect(report.warnings).toEqual([]);
});

describe("a ROLLBACK that fails", () => {
  test.for(EXECUTORS)(
    "does not hide the first error (%s)",
    async (executor, { database, relay, target }) => {
      const bad = makeBundle(makeMigration("0000_bad", 1_000, "create table a ()", "select 1 / 0"));
      // With a table there both runs look around alike.
      await database.sqlAsOwner("create table other ()");
      await run(target, bad, { executor });
      await waitFor(async () => {
        const rows = await database.sql(
          "select from pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database()",
        );
        return rows.length === 0;
      });
      const rollback = Buffer.from("Q____rollback\0").length;
      const goodbye = Buffer.from("X____").length;
      const beforeRollback = trafficOfFirst(relay).bytesToServer - rollback - goodbye;
      relay.cutAfterBytes({ direction: "toServer", bytes: beforeRollback + 3 });

      const report = await run(target, bad, { executor });

      expect(report).toMatchObject({
        error: { code: "MIGRATION_FAILED", sqlstate: "22012", statement: { index: 2 } },
        warnings: [],
      });
    },
  );
});

describe("a table that another session holds", () => {
  const altering = makeMigration(
    "0002_altering",
    3_000,
    "alter table accounts add column name text",
  );
  const all = makeBundle(accounts, booking, altering);

  /** Who reads the table while the run waits for it, and while it is held. @returns whether that one had to wait */
  async function readBesideRun(database: TestDatabase): Promise<boolean> {
    let read = false;
    const reading = database.sqlAsOwner("select * from accounts").finally(() => {
      read = true;
    });
    reading.catch(() => undefined);
    let waited = false;
    await waitFor(async () => {
      if (!read) waited ||= await isBehindRun(database, "select * from accounts");
      return read;
    });
    await reading;
    return waited;
  }

  test("is waited for politely: who reads it meanwhile waits no longer than the lock time-out", async ({
    database,
    target,
  }) => {
    await run(target, bundle);
    const holder = await database.hold("lock table accounts in access share mode");
    const telling = makeMigration(
      "0002_telling",
      3_000,
      "create table told as select current_setting('lock_timeout') as limit",
      "alter table accounts add column name text",
    );
    const running = run(target, makeBundle(accounts, booking, telling), { ddlLockTimeoutMs: 500 });

    // The holder lets nobody through, so what ends their waiting is the run's own lock time-out.
    await waitFor(() => readBesideRun(database));
    await holder.release();

    expect(await running).toMatchObject({ status: "applied", applied: [{ tag: telling.tag }] });
    expect(await database.sql("select * from told")).toEqual([{ limit: "500ms" }]);
  });

  test("ends in LOCK_TIMEOUT with who blocks whom when it is never released", async ({
    database,
    target,
  }) => {
    await run(target, bundle);
    const holder = await database.hold("lock table accounts in access share mode");
    const pass = stopDate();
    const timeoutMs = 600_000;

    // The time is over once the run has seen for whom it waits.
    const log = vi.fn((event: string, facts?: Readonly<Record<string, unknown>>) => {
      const seen: unknown = facts?.blockedBy;
      if (event !== "transaction.retry" || !Array.isArray(seen)) return;
      if (seen.includes(holder.pid)) pass(timeoutMs);
    });
    const report = await run(target, all, { ddlLockTimeoutMs: 400, timeoutMs }, { log });
    await holder.release();

    expect(report.error).toMatchObject({
      code: "LOCK_TIMEOUT",
      sqlstate: "55P03",
      migration: altering.tag,
      retryable: true,
    });
    expect(report.error?.message).toContain(`pid ${holder.pid},`);
    expect(report.error?.message).toContain("lock table accounts in access share mode");
    expect(report.error?.message).toContain(`select pg_terminate_backend(${holder.pid});`);
  });

  test("is tried again after a deadlock", async ({ database, target }) => {
    const other = makeMigration("0000_other", 500, "create table other (id int)");
    await run(target, makeBundle(other, accounts, booking));
    await database.sqlAsOwner("create table gate (id int)");
    const crossing = makeMigration(
      "0002_crossing",
      3_000,
      "lock table other in access exclusive mode",
      AT_GATE,
      "lock table accounts in access exclusive mode",
    );
    const holder = await holdWithoutLooking(
      database,
      "lock table accounts in access exclusive mode",
    );
    const log = vi.fn();
    const running = run(
      target,
      makeBundle(other, accounts, booking, crossing),
      { ddlLockTimeoutMs: 600_000 },
      { log },
    );
    await waitFor(() => atGate(database, "pid"));
    const crossed = holder.sql("lock table other in access exclusive mode");
    crossed.catch(() => undefined);
    await waitFor(() => isBehindRun(database, "lock table other"));
    await openGate(database);
    await crossed;
    await holder.release();

    expect(await running).toMatchObject({ status: "applied" });
    const retries = log.mock.calls.filter(([event]) => event === "transaction.retry");
    expect(retries).toMatchObject([[expect.anything(), { sqlstate: "40P01" }]]);
  });

  /** A holder that never looks for deadlocks itself: who waits for it finds them, and loses. */
  async function holdWithoutLooking(database: TestDatabase, text: string): Promise<Holder> {
    const { name } = database.owner;
    await database.sql(`alter role ${name} set deadlock_timeout = '1h'`);
    const holder = await database.hold(text);
    await database.sql(`alter role ${name} set deadlock_timeout = '100ms'`);
    return holder;
  }
});

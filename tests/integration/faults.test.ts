import { beforeEach, describe, expect, test } from "vitest";
import type { Target } from "../../lib/config.ts";
import type { Relay } from "../../local/relay.ts";
import type { TestDatabase } from "../setup/database.ts";
import { createTestTarget, run } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";
import { makeBundle, makeMigration } from "../unit/make-migration.ts";

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

let database: TestDatabase;
let relay: Relay;
let target: Target;

beforeEach(async () => {
  ({ database, relay, target } = await createTestTarget());
  return () => database.close();
});

async function balance(): Promise<unknown> {
  return (await database.sql("select balance from accounts"))[0]?.balance;
}

async function ledgerLength(): Promise<unknown> {
  const [row] = await database.sql("select count(*)::int as n from drizzle.__drizzle_migrations");
  return row?.n;
}

/** Takes away what runs have left, the ledger included. */
async function clear(): Promise<void> {
  await database.sqlAsOwner("drop table if exists accounts; drop schema if exists drizzle cascade");
}

/** Some places in a direction of a connection; `npm run faults` visits many more. */
const SHARES = [0.2, 0.5, 0.8, 0.97];

describe.each(EXECUTORS)("a connection that is cut during a run by %s", (executor) => {
  test("costs nothing and doubles nothing, wherever in the bytes it comes", async () => {
    await run(target, bundle, { executor });
    const { bytesToServer: toServer, bytesToClient: toClient } = relay.stats();
    const places = Object.entries({ toServer, toClient } as const).flatMap(([direction, total]) =>
      SHARES.map((share) => ({
        direction: direction === "toServer" ? ("toServer" as const) : ("toClient" as const),
        bytes: Math.floor(total * share),
      })),
    );

    for (const place of places) {
      await clear();
      relay.cutAfterBytes(place);
      const report = await run(target, bundle, { executor });

      expect([place, report.status, await balance(), await ledgerLength()]).toEqual([
        place,
        "applied",
        101,
        2,
      ]);
      expect(report.applied.map(({ tag }) => tag)).toEqual([accounts.tag, booking.tag]);
    }
  });
});

describe("a session that the server ends", () => {
  test("is replaced, and the run goes on", async () => {
    const slow = makeMigration("0002_slow", 3_000, "select pg_sleep(1)");
    const running = run(target, makeBundle(accounts, booking, slow));
    const sessions = () =>
      database.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(1)%' and application_name like 'neon-migrate/%' and state = 'active' and datname = current_database()",
      );
    await waitFor(async () => (await sessions()).length > 0);

    const report = await running;

    expect(report).toMatchObject({ status: "applied", pending: [] });
    expect(report.warnings.map(({ code }) => code)).toEqual(["CONNECTION_LOST"]);
    expect(report.warnings[0]?.message).toContain("administrator command");
    expect(await balance()).toBe(101);
  });

  test("is reported by the first error that was seen, with its place, when it happens every time", async () => {
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

test("a statement that cannot connect to somewhere else has failed, and is not tried again", async () => {
  const fail = "do $$ begin raise 'no way to the other server' using errcode = '08001'; end $$";

  const report = await run(target, makeBundle(makeMigration("0000_linked", 1_000, fail)));

  expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate: "08001" });
  expect(report.warnings).toEqual([]);
});

describe("a ROLLBACK that fails", () => {
  test.each(EXECUTORS)("does not hide the first error (%s)", async (executor) => {
    const bad = makeBundle(makeMigration("0000_bad", 1_000, "create table a ()", "select 1 / 0"));
    await run(target, bad, { executor });
    await waitFor(async () => {
      const rows = await database.sql(
        "select from pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database()",
      );
      return rows.length === 0;
    });
    const rollback = Buffer.from("Q____rollback\0").length;
    const goodbye = Buffer.from("X____").length;
    const beforeRollback = relay.stats().bytesToServer - rollback - goodbye;
    relay.cutAfterBytes({ direction: "toServer", bytes: beforeRollback + 3 });

    const report = await run(target, bad, { executor });

    expect(report).toMatchObject({
      error: { code: "MIGRATION_FAILED", sqlstate: "22012", statement: { index: 2 } },
      warnings: [],
    });
  });
});

describe("a table that another session holds", () => {
  const altering = makeMigration(
    "0002_altering",
    3_000,
    "alter table accounts add column name text",
  );
  const all = makeBundle(accounts, booking, altering);

  test("is waited for politely: who reads it meanwhile waits no longer than the lock time-out", async () => {
    await run(target, bundle);
    const holder = await database.hold("lock table accounts in access share mode");
    const running = run(target, all, { ddlLockTimeoutMs: 200 });
    const waits: number[] = [];
    const until = Date.now() + 1_000;
    // A busy machine reads less often.
    while (Date.now() < until || waits.length <= 10) {
      const started = Date.now();
      await database.sqlAsOwner("select * from accounts");
      waits.push(Date.now() - started);
    }
    await holder.release();

    expect(await running).toMatchObject({ status: "applied", applied: [{ tag: altering.tag }] });
    expect(Math.max(...waits)).toBeLessThan(600);
  });

  test("ends in LOCK_TIMEOUT with who blocks whom when it is never released", async () => {
    await run(target, bundle);
    const holder = await database.hold("lock table accounts in access share mode");

    const report = await run(target, all, { ddlLockTimeoutMs: 200, timeoutMs: 2_500 });
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

  test("is tried again after a deadlock", async () => {
    const other = makeMigration("0000_other", 500, "create table other (id int)");
    await run(target, makeBundle(other, accounts, booking));
    const crossing = makeMigration(
      "0002_crossing",
      3_000,
      "lock table other in access exclusive mode",
      "select pg_sleep(0.3)",
      "lock table accounts in access exclusive mode",
    );
    const holder = await database.hold("lock table accounts in access exclusive mode");
    const running = run(target, makeBundle(other, accounts, booking, crossing), {
      ddlLockTimeoutMs: 10_000,
    });
    await waitFor(async () => {
      const rows = await database.sql(
        "select from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'other' and l.granted",
      );
      return rows.length > 0;
    });
    await holder.sql("lock table other in access exclusive mode").catch(() => undefined);
    await holder.release();

    expect(await running).toMatchObject({ status: "applied" });
  });
});

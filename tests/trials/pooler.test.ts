import { Client } from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { lockQuestion } from "../../lib/ledger/lock.ts";
import type { Report } from "../../lib/report/report.ts";
import { DEFAULT_LEDGER, type Target } from "../../lib/target/target.ts";
import { runSql } from "../../local/postgres/admin.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { locksIn, untilUnlocked } from "../setup/advisory-locks.ts";
import { amend } from "../setup/amend.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { makeBundle, makeMigration } from "../setup/make-migration.ts";
import { type PgBouncerOptions, pgBouncerPath, startPgBouncer } from "../setup/pgbouncer.ts";
import { run, targetOf } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";

const accounts = makeMigration("0000_accounts", 1_000, "create table accounts (id int)");
const bundle = makeBundle(accounts);

let database: TestDatabase;
let direct: Target;
const cleanUp: (() => Promise<void>)[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  direct = targetOf(database.url, (await database.startRelay()).address);
  return async () => {
    for (const stop of cleanUp.splice(0)) await stop();
    await database.close();
  };
});

/** A target whose sessions go through a relay and a PgBouncer of its own. */
async function pooled(options: Omit<PgBouncerOptions, "url"> = {}): Promise<Target> {
  const bouncer = await startPgBouncer({ ...options, url: database.url });
  const relay = await startRelay({ target: bouncer });
  cleanUp.push(relay.stop, bouncer.stop);
  return targetOf(bouncer.url, relay.address);
}

/** How many sessions wait for a table. */
async function waiting(): Promise<unknown> {
  const [row] = await database.sql(
    `select count(*)::int as n from pg_locks where not granted and locktype = 'relation'
     and database = (select oid from pg_database where datname = current_database())`,
  );
  return row?.n;
}

/** What a run leaves behind, the ledger in its two possible homes included. */
async function written(): Promise<unknown> {
  return await database.sql(
    `select nspname as name from pg_namespace where nspname = 'drizzle'
     union all select relname from pg_class where relname in ('accounts', '__drizzle_migrations')`,
  );
}

/** The channels that the backend listens to which the pooler hands out next. */
async function listening({ url }: Target): Promise<unknown> {
  return await runSql(url, "select pg_listening_channels() as channel", []);
}

/** Has so many backends of the pool opened and given back. */
async function warmUp({ url }: Target, backends: number): Promise<void> {
  const clients = Array.from({ length: backends }, () => new Client({ connectionString: url }));
  // None gets the backend of one who is in a transaction.
  for (const client of clients) {
    await client.connect();
    await client.query("begin");
  }
  for (const client of clients) {
    await client.query("commit");
    await client.end();
  }
}

/** Other clients of the pooler, who never pause and of whom each has begun. @returns what ends them */
async function disturb({ url }: Target, clients: number): Promise<() => Promise<void>> {
  let over = false;
  const ask = () => runSql(url, "select pg_sleep(random() * 0.01)", []);
  const client = async () => {
    while (!over) await ask();
  };
  await Promise.all(Array.from({ length: clients }, ask));
  const all = Promise.all(Array.from({ length: clients }, client));
  all.catch(() => undefined);
  return async () => {
    over = true;
    await all;
  };
}

const atOnce = (target: Target, runs: number, request: object = {}): Promise<readonly Report[]> =>
  Promise.all(Array.from({ length: runs }, () => run(target, bundle, request)));

const outcome = ({ status, error }: Report) => error?.code ?? status;

const installed = pgBouncerPath() !== null;

describe.skipIf(!installed).each([1, 20])("a transaction pooler with %i backends", (poolSize) => {
  test.each([0, 1, 5])("is refused where something is pending (%i warm)", async (warm) => {
    const target = await pooled({ poolSize });
    await warmUp(target, Math.min(warm, poolSize));

    const reports = [await run(target, bundle), await run(target, bundle)];

    expect(reports.map(outcome)).toEqual(["POOLED_CONNECTION", "POOLED_CONNECTION"]);
    expect(reports.map(({ error }) => error?.message)).toEqual([
      expect.stringContaining("There is a transaction pooler"),
      expect.stringContaining("There is a transaction pooler"),
    ]);
    await untilUnlocked(database);
    expect([await written(), await listening(target)]).toEqual([[], []]);
    expect(outcome(await run(direct, bundle, { lockTimeoutMs: 0 }))).toBe("applied");
  });

  test("is refused to five at once, and none leaves a lock", async () => {
    const target = await pooled({ poolSize });

    const reports = [...(await atOnce(target, 5)), ...(await atOnce(target, 5))];

    expect(new Set(reports.map(outcome))).toEqual(new Set(["POOLED_CONNECTION"]));
    await untilUnlocked(database);
    expect(await written()).toEqual([]);
    expect(outcome(await run(direct, bundle, { lockTimeoutMs: 0 }))).toBe("applied");
  });

  test("is refused also while others keep its backends busy", async () => {
    const target = await pooled({ poolSize });
    const calm = await disturb(target, 5);

    const reports: Report[] = [];
    try {
      for (let round = 0; round < 4; round += 1) reports.push(...(await atOnce(target, 5)));
    } finally {
      await calm();
    }

    expect(new Set(reports.map(outcome))).toEqual(new Set(["POOLED_CONNECTION"]));
    await untilUnlocked(database);
    expect(await written()).toEqual([]);
  });

  test("is refused at once where another run holds the lock, which that one keeps", async () => {
    const holder = await database.hold(lockQuestion(DEFAULT_LEDGER));
    const target = await pooled({ poolSize });

    const report = await run(target, bundle);

    expect(outcome(report)).toBe("POOLED_CONNECTION");
    // A lock for each place where the ledger can be.
    expect([await written(), await locksIn(database)]).toEqual([[], 2]);
    await holder.release();
  });

  test("may say that nothing is pending, in no more round trips, and keeps no lock", async () => {
    await run(direct, bundle);
    const target = await pooled({ poolSize });

    const reports: Report[] = [];
    for (let runs = 0; runs < 2; runs += 1) {
      await untilUnlocked(database);
      reports.push(await run(target, bundle));
    }

    expect(reports.map(outcome)).toEqual(["up-to-date", "up-to-date"]);
    expect(reports.map(({ roundTrips }) => roundTrips)).toEqual([2, 2]);
    await untilUnlocked(database);
  });

  test("may say to some of five at once that nothing is pending, and to the others what it is", async () => {
    await run(direct, bundle);
    const target = await pooled({ poolSize });

    const reports = await atOnce(target, 5);

    expect(reports.map(outcome)).toContain("up-to-date");
    expect(["POOLED_CONNECTION", "up-to-date"]).toEqual(
      expect.arrayContaining(reports.map(outcome)),
    );
    await untilUnlocked(database);
  });
});

describe.skipIf(!installed)("a transaction pooler that uses its backends in turn", () => {
  test.each([1, 2, 3, 4])("is refused (%i warm)", async (warm) => {
    const target = await pooled({ roundRobin: true });
    await warmUp(target, warm);

    const reports = [await run(target, bundle), ...(await atOnce(target, 5))];

    expect(new Set(reports.map(outcome))).toEqual(new Set(["POOLED_CONNECTION"]));
    await untilUnlocked(database);
    expect(await written()).toEqual([]);
  });
});

describe.skipIf(!installed)("a session pooler", () => {
  test.each([0, 1, 5])("is as good as none (%i warm)", async (warm) => {
    const target = await pooled({ poolMode: "session" });
    await warmUp(target, warm);

    const reports = [await run(target, bundle), await run(target, bundle)];

    expect(reports.map(outcome)).toEqual(["applied", "up-to-date"]);
    await waitFor(async () => (await locksIn(database)) === 0);
    expect(outcome(await run(direct, bundle))).toBe("up-to-date");
  });

  test("lets one of five at once apply", async () => {
    const target = await pooled({ poolMode: "session" });

    const reports = await atOnce(target, 5);

    expect(reports.map(outcome).toSorted()).toEqual(["applied", ...Array(4).fill("up-to-date")]);
    await waitFor(async () => (await locksIn(database)) === 0);
  });

  test("holds the lock of a baseline for as long as that writes", async () => {
    await database.sqlAsOwner(
      "create schema drizzle; create table drizzle.__drizzle_migrations (id serial, hash text, created_at bigint); create table accounts ()",
    );
    const holder = await database.hold("lock table drizzle.__drizzle_migrations in share mode");
    const target = await pooled({ poolMode: "session" });

    const amending = amend(target, bundle, { kind: "baseline", to: accounts.tag });
    amending.catch(() => undefined);
    await waitFor(async () => (await waiting()) === 1);

    expect(await locksIn(database)).toBe(2);
    await holder.release();
    expect(await amending).toMatchObject({ written: true });
  });

  test("is refused in good time where it has no second session to prove what it is", async () => {
    // The pooler itself lets a second one wait for ever.
    const target = await pooled({ poolMode: "session", poolSize: 1 });

    const report = await run(target, bundle);

    expect(report.error).toMatchObject({ code: "POOLED_CONNECTION", retryable: true });
    expect(report.error?.message).toContain("let the pooler open two sessions at once");
    expect(await written()).toEqual([]);
    await waitFor(async () => (await locksIn(database)) === 0);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { Client } from "pg";
import { describe, expect, type TestContext, test } from "vitest";
import { startRelay } from "../../local/relay/relay.ts";
import { untilUnlocked } from "../setup/advisory-locks.ts";
import type { AuthoredMigration } from "../setup/deployment.ts";
import { prepareDeployment, writeDrizzleFolder } from "../setup/deployment.ts";
import { pgBouncerPath, startPgBouncer } from "../setup/pgbouncer.ts";
import { call, outcome, type Scene, setScene, untilBlocked, untilQueued } from "../setup/scene.ts";
import { waitFor } from "../setup/wait-for.ts";

// What 27 tool configurations were measured in, and none of them passed as a whole (docs/explanation/pass-line.md). Each
// scenario runs the deployed file, in processes of its own, with default settings.

/** The insert has no key and no conflict clause: run twice, it makes two rows. */
const accounts: AuthoredMigration = {
  tag: "0000_accounts",
  when: 1_000,
  statements: [
    "create table accounts (id int, email text)",
    "insert into accounts values (1, 'a'), (2, 'b')",
  ],
};

/** A migration behind `accounts`. */
function change(...statements: readonly string[]): AuthoredMigration {
  return { tag: "0001_change", when: 2_000, statements };
}

const booked = "insert into accounts (id) values (3)";
const read = "select from accounts";
const write = "update accounts set email = email where id = 1";
/** Needs the table for itself. */
const addColumn = change("alter table accounts add column name text");

/** Nothing that is not part of the application. */
const TIDY = { checkpoints: 0, advisoryLocks: 0, sessions: 0 };

async function ids({ database }: Scene): Promise<readonly unknown[]> {
  const rows = await database.sql("select id from accounts order by id");
  return rows.map(({ id }) => id);
}

/** Waits until so many sessions of a scene's database wait for a lock. */
async function untilWaiting({ database }: Scene, count: number): Promise<void> {
  await waitFor(async () => {
    const rows = await database.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return rows.length === count;
  });
}

/** Fails the test when a promise does not settle in minutes. */
async function untilSettled(promise: Promise<unknown>): Promise<void> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await waitFor(() => settled);
}

/** Applies `addColumn` behind `accounts` with Drizzle's own migrator. */
async function migrateByDrizzle(
  { database }: Scene,
  { onTestFinished }: Pick<TestContext, "onTestFinished">,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pass-line-"));
  const client = new Client({ connectionString: database.url });
  client.on("error", () => undefined);
  onTestFinished(async () => {
    await client.end();
    rmSync(folder, { recursive: true });
  });
  writeDrizzleFolder(folder, [accounts, addColumn]);
  await client.connect();
  await migrate(drizzle({ client }), { migrationsFolder: folder });
}

const times = <Result>(count: number, work: () => Promise<Result>): Promise<readonly Result[]> =>
  Promise.all(Array.from({ length: count }, work));

const FIVE = ["applied", "up-to-date", "up-to-date", "up-to-date", "up-to-date"];

describe.concurrent("the pass line", () => {
  test("S1: of five runners at once on an empty database one applies, and four are up to date", async (context) => {
    const scene = await setScene(context);
    await scene.deployment.deploy(accounts, change(booked));

    const reports = await times(5, () => scene.again());

    expect(reports.map(outcome).toSorted()).toEqual(FIVE);
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toEqual({
      ...TIDY,
      tables: { accounts: "id email" },
      indexes: [],
      ledger: [1_000, 2_000],
    });
  });

  test("S2: a file that holds only CREATE INDEX CONCURRENTLY is applied", async (context) => {
    const scene = await setScene(context);

    const report = await scene.up([
      accounts,
      change("create index concurrently emails on accounts (email)"),
    ]);

    expect([outcome(report), outcome(await scene.again())]).toEqual(["applied", "up-to-date"]);
    expect(await scene.left()).toEqual({
      ...TIDY,
      tables: { accounts: "id email" },
      indexes: ["emails"],
      ledger: [1_000, 2_000],
    });
  });

  test("S2b: ALTER, CREATE INDEX CONCURRENTLY and DROP INDEX CONCURRENTLY share a file without a directive", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    await scene.database.sqlAsOwner("create index outdated on accounts (id)");

    const report = await scene.up([
      accounts,
      change(
        "alter table accounts add column name text",
        "create index concurrently names on accounts (name)",
        "drop index concurrently outdated",
        booked,
      ),
    ]);

    expect([outcome(report), outcome(await scene.again())]).toEqual(["applied", "up-to-date"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toEqual({
      ...TIDY,
      tables: { accounts: "id email name" },
      indexes: ["names"],
      ledger: [1_000, 2_000],
    });
  });

  test("S3: ALTER and CREATE INDEX CONCURRENTLY behind the author's own COMMIT are applied as they were meant", async (context) => {
    const scene = await setScene(context);

    const report = await scene.up([
      accounts,
      change(
        "alter table accounts add column name text",
        booked,
        "COMMIT",
        "create index concurrently names on accounts (name)",
      ),
    ]);

    expect([outcome(report), outcome(await scene.again())]).toEqual(["applied", "up-to-date"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toMatchObject({ ...TIDY, indexes: ["names"] });
  });

  test("S3b: a second runner that waits does not stand in the way of the first one's index build", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    await scene.deployment.deploy(
      accounts,
      change(booked, "create index concurrently emails on accounts (email)"),
    );
    const writer = await scene.database.hold(write);
    const first = scene.again();
    await untilBlocked(scene.database, "concurrently");
    const second = scene.again();
    await untilQueued(scene.database);
    await writer.release();

    expect([outcome(await first), outcome(await second)]).toEqual(["applied", "up-to-date"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toMatchObject({ ...TIDY, indexes: ["emails"] });
  });

  test("S4: an edited file that was applied is detected, and not run again", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    const edited = { ...accounts, statements: [...accounts.statements, "create table never ()"] };

    const report = await scene.up([edited]);
    const strict = await scene.again({ modified: "error" });

    expect([outcome(report), outcome(strict)]).toEqual(["up-to-date", "MODIFIED"]);
    expect(report.warnings.map(({ code }) => code)).toContain("MODIFIED");
    const [drift] = report.drift?.modified ?? [];
    expect(drift).toMatchObject({ tag: accounts.tag });
    expect(drift?.ledgerHash).not.toBe(drift?.bundleHash);
    expect(await scene.left()).toMatchObject({ ...TIDY, tables: { accounts: "id email" } });
  });

  test("S5: an older file that appears later is refused, not passed over, and applied on request", async (context) => {
    const scene = await setScene(context);
    const newer = { tag: "0002_newer", when: 3_000, statements: ["create table newer (id int)"] };
    const late = change("create table late (id int)", booked);
    await scene.up([accounts, newer]);

    const refused = await scene.up([accounts, late, newer]);
    const untouched = await scene.left();
    const applied = await scene.again({ outOfOrder: "apply" });

    expect([outcome(refused), outcome(applied)]).toEqual(["OUT_OF_ORDER", "applied"]);
    expect(refused.drift?.outOfOrder).toMatchObject([{ tag: late.tag }]);
    expect(untouched).toMatchObject({ tables: { accounts: "id email", newer: "id" } });
    expect(await scene.left()).toMatchObject({ ...TIDY, ledger: [1_000, 3_000, 2_000] });
    expect(await ids(scene)).toEqual([1, 2, 3]);
  });

  test("S6: a failure in the second of three statements undoes the first, names its place, and a fixed file runs", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);

    const failed = await scene.up([
      accounts,
      change(booked, "alter table acounts add column name text", "create table third (id int)"),
    ]);
    const undone = await scene.left();
    const fixed = await scene.up([
      accounts,
      change(booked, "alter table accounts add column name text", "create table third (id int)"),
    ]);

    expect(failed.error).toMatchObject({
      code: "MIGRATION_FAILED",
      sqlstate: "42P01",
      migration: "0001_change",
      statement: { index: 2, line: 2, excerpt: "alter table acounts add column name text" },
    });
    expect(undone).toEqual({
      ...TIDY,
      tables: { accounts: "id email" },
      indexes: [],
      ledger: [1_000],
    });
    expect(outcome(fixed)).toBe("applied");
    expect(await ids(scene)).toEqual([1, 2, 3]);
  });

  test("S6b: a failure outside a transaction is gone on with, once its cause is gone", async (context) => {
    const scene = await setScene(context);
    const double = "insert into accounts values (4, 'a')";
    const build = "create unique index concurrently emails on accounts (email)";

    const failed = await scene.up([accounts, change(booked, double, build, booked)]);
    const half = await scene.left();
    await scene.database.sqlAsOwner("delete from accounts where id = 4");
    const resumed = await scene.again();

    expect(failed.error).toMatchObject({ code: "MIGRATION_FAILED", statement: { index: 3 } });
    expect(half).toMatchObject({ indexes: ["emails INVALID"], ledger: [1_000], checkpoints: 1 });
    expect(outcome(resumed)).toBe("applied");
    expect(await ids(scene)).toEqual([1, 2, 3, 3]);
    expect(await scene.left()).toEqual({
      ...TIDY,
      tables: { accounts: "id email" },
      indexes: ["emails"],
      ledger: [1_000, 2_000],
    });
  });

  test("S7: an application goes on while a migration waits for a table that somebody holds", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    const holder = await scene.database.hold("select from accounts");
    const migrating = scene.up([accounts, addColumn]);
    migrating.catch(() => undefined);

    // They come behind a migration that waits, and are answered while the holder is still there: twice.
    for (const requests of [
      [read, write],
      [read, write],
    ]) {
      await untilBlocked(scene.database, "alter table");
      const answers = Promise.all(requests.map((each) => scene.database.sqlAsOwner(each)));
      await untilSettled(answers);
      await answers;
    }
    await holder.release();

    expect(outcome(await migrating)).toBe("applied");
    expect(await scene.left()).toMatchObject({
      ...TIDY,
      tables: { accounts: "id email name" },
      ledger: [1_000, 2_000],
    });
  });

  test("S7: behind Drizzle's own migrator it waits until the holder is gone", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    const holder = await scene.database.hold("select from accounts");
    const migrating = migrateByDrizzle(scene, context);
    migrating.catch(() => undefined);
    await untilWaiting(scene, 1);
    let answered = 0;
    const requests = [read, write].map(async (request) => {
      await scene.database.sqlAsOwner(request);
      answered += 1;
    });
    const all = Promise.all([migrating, ...requests]);
    all.catch(() => undefined);

    await untilWaiting(scene, 3);
    const before = answered;
    await holder.release();
    await all;

    expect([before, answered]).toEqual([0, 2]);
  });

  test("S8: after SIGKILL in the middle of a statement the next run, at once, does it all, and once", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    await scene.database.sqlAsOwner("create table hurry ()");
    const sleep = "select pg_sleep(86400) where not exists (select from hurry)";
    await scene.deployment.deploy(accounts, change(booked, sleep));
    void scene.again().catch(() => undefined);
    await waitFor(async () => {
      const rows = await scene.database.sql(
        "select from pg_stat_activity where datname = current_database() and state = 'active' and wait_event = 'PgSleep'",
      );
      return rows.length > 0;
    });

    await scene.deployment.kill();
    await scene.database.sqlAsOwner("insert into hurry default values");
    const report = await scene.again();

    expect(outcome(report)).toBe("applied");
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toMatchObject({ ...TIDY, ledger: [1_000, 2_000] });
  });

  test("S8: after SIGKILL in an index build the next run, at once, builds it, and repeats nothing", async (context) => {
    const scene = await setScene(context);
    await scene.up([accounts]);
    const build = "create index concurrently on accounts (email)";
    await scene.deployment.deploy(accounts, change(booked, build, booked));
    const writer = await scene.database.hold(write);
    void scene.again().catch(() => undefined);
    await untilBlocked(scene.database, "concurrently");

    await scene.deployment.kill();
    const rerun = scene.again();
    await untilBlocked(scene.database, "concurrently");
    await writer.release();

    expect(outcome(await rerun)).toBe("applied");
    expect(await ids(scene)).toEqual([1, 2, 3, 3]);
    expect(await scene.left()).toEqual({
      ...TIDY,
      tables: { accounts: "id email" },
      indexes: ["accounts_email_idx"],
      ledger: [1_000, 2_000],
    });
  });

  test.skipIf(pgBouncerPath() === null)(
    "S9: through a transaction pooler five at once are refused, none leaves a lock, and the next run is fine",
    async (context) => {
      const scene = await setScene(context);
      const bouncer = await startPgBouncer({ url: scene.database.url });
      const relay = await startRelay({ target: bouncer });
      const environment = { DATABASE_URL: bouncer.url, NEON_WS_PROXY: relay.address };
      const pooled = prepareDeployment(environment);
      context.onTestFinished(async () => {
        await pooled.remove();
        await relay.stop();
        await bouncer.stop();
      });
      await pooled.deploy(accounts, change(booked));

      const refused = await times(5, () => call(pooled));

      expect(refused.map(outcome)).toEqual(Array(5).fill("POOLED_CONNECTION"));
      await untilUnlocked(scene.database);
      const next = await scene.up([accounts, change(booked)], { lockTimeoutMs: 0 });
      expect(outcome(next)).toBe("applied");
      expect(await ids(scene)).toEqual([1, 2, 3]);
      await untilUnlocked(scene.database);
    },
  );

  test("S10: an enum value that one file adds is used by the next", async (context) => {
    const scene = await setScene(context);

    const report = await scene.up([
      { ...accounts, statements: ["create type mood as enum ('sad')", ...accounts.statements] },
      change("alter type mood add value 'happy'"),
      {
        tag: "0002_use",
        when: 3_000,
        statements: ["alter table accounts add column mood mood not null default 'happy'", booked],
      },
    ]);

    expect([outcome(report), outcome(await scene.again())]).toEqual(["applied", "up-to-date"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
    expect(await scene.left()).toMatchObject({ ...TIDY, ledger: [1_000, 2_000, 3_000] });
  });

  test("S10: a value added to an enum of an earlier deployment is used by the next file", async (context) => {
    const scene = await setScene(context);
    const mood = { ...accounts, statements: ["create type mood as enum ('sad')"] };
    await scene.up([mood]);

    const report = await scene.up([
      mood,
      change("alter type mood add value 'happy'"),
      { tag: "0002_use", when: 3_000, statements: ["create table moods as select 'happy'::mood"] },
    ]);

    expect([outcome(report), outcome(await scene.again())]).toEqual(["applied", "up-to-date"]);
    expect(await scene.left()).toMatchObject({ ...TIDY, ledger: [1_000, 2_000, 3_000] });
  });

  test("S11: when the second file fails, the first is undone with it, and both run once it is fixed", async (context) => {
    const scene = await setScene(context);
    const bad = change("alter table accounts add column name text", "select 1 / 0");

    const failed = await scene.up([accounts, bad]);
    const undone = await scene.left();
    const fixed = await scene.up([accounts, change(booked)]);

    expect(failed).toMatchObject({
      atomic: true,
      applied: [],
      error: { code: "MIGRATION_FAILED", migration: bad.tag, statement: { index: 2 } },
    });
    expect(undone).toEqual({ ...TIDY, tables: {}, indexes: [], ledger: [] });
    expect(fixed.applied.map(({ tag }) => tag)).toEqual([accounts.tag, "0001_change"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
  });

  test("S11: with a transaction for each the first file stays, and only the second runs again", async (context) => {
    const scene = await setScene(context);
    const each = { transaction: "each" };

    const failed = await scene.up([accounts, change(booked, "select 1 / 0")], each);
    const fixed = await scene.up([accounts, change(booked)], each);

    expect(failed.applied.map(({ tag }) => tag)).toEqual([accounts.tag]);
    expect(failed.pending?.map(({ tag }) => tag)).toEqual(["0001_change"]);
    expect(fixed.applied.map(({ tag }) => tag)).toEqual(["0001_change"]);
    expect(await ids(scene)).toEqual([1, 2, 3]);
  });
});

import { beforeEach, describe, expect, test } from "vitest";
import type { Target } from "../../lib/config.ts";
import type { Report } from "../../lib/report.ts";
import { createTestDatabase, type Holder, type TestDatabase } from "../setup/database.ts";
import { run, targetOf } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";
import { makeBundle, makeMigration } from "../unit/make-migration.ts";

let database: TestDatabase;
let target: Target;

beforeEach(async () => {
  database = await createTestDatabase();
  target = targetOf(database.url, (await database.startRelay()).address);
  await database.sqlAsOwner("create table accounts (id int primary key, email text)");
  await database.sqlAsOwner("insert into accounts values (1, 'a'), (2, 'b')");
  return () => database.close();
});

const migrationOf = (...statements: readonly string[]) =>
  makeBundle(makeMigration("0000_change", 1_000, ...statements));

async function indexes(table = "accounts"): Promise<readonly unknown[]> {
  const rows = await database.sql(
    `select c.relname || case when i.indisvalid then '' else ' INVALID' end as name
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = $1::regclass order by 1`,
    [table],
  );
  return rows.map(({ name }) => name);
}

/** The statement in which a run waits for somebody's lock. */
async function waitingIn(): Promise<string | undefined> {
  const [row] = await database.sql(
    `select query from pg_stat_activity
     where datname = current_database() and application_name like 'neon-migrate/%' and wait_event_type = 'Lock'`,
  );
  return row === undefined ? undefined : String(row.query);
}

const untilItWaits = (statement: string) =>
  waitFor(async () => (await waitingIn())?.includes(statement) ?? false);

/** Longer than a statement with the lock time-out below would wait. */
const staysWaiting = async (statement: string): Promise<void> => {
  await untilItWaits(statement);
  const until = Date.now() + 300;
  await waitFor(async () => {
    expect(await waitingIn()).toContain(statement);
    return Date.now() > until;
  });
};

const write = "update accounts set email = email where id = 1";

describe("a statement behind which nobody queues", () => {
  test.each([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["drop index concurrently accounts_pkey2", ["accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("waits for older transactions as long as it takes: %s", async (statement, left) => {
    if (statement.startsWith("drop")) {
      await database.sqlAsOwner("create index accounts_pkey2 on accounts (id)");
    }
    const writer = await database.hold(write);

    const running = run(target, migrationOf(statement), { ddlLockTimeoutMs: 100 });
    await staysWaiting(statement);
    await writer.release();

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(await indexes()).toEqual(left);
  });

  test("waits so also to detach a partition", async () => {
    await database.sqlAsOwner("create table visits (id int) partition by range (id)");
    await database.sqlAsOwner(
      "create table visits_old partition of visits for values from (0) to (9)",
    );
    const detach = "alter table visits detach partition visits_old concurrently";
    const reader = await database.hold("select from visits");

    const running = run(target, migrationOf(detach), { ddlLockTimeoutMs: 100 });
    await staysWaiting(detach);
    await reader.release();

    expect(await running).toMatchObject({ status: "applied" });
    expect(await database.sql("select from pg_inherits")).toEqual([]);
  });

  test("is ended by the deadline, which says whom it waited for", async () => {
    const build = "create index concurrently on accounts (email)";
    const writer = await database.hold(write);

    const report = await run(target, migrationOf(build), {
      ddlLockTimeoutMs: 100,
      timeoutMs: 1_500,
    });
    await writer.release();

    expect(report.error).toMatchObject({ code: "DEADLINE", migration: "0000_change" });
    expect(report.error?.message).toContain(`(pid ${writer.pid},`);
    expect(report.error?.message).toContain(`last statement: ${write}`);
    expect(report.error?.message).toContain(`select pg_terminate_backend(${writer.pid});`);
    expect(await run(target, migrationOf(build))).toMatchObject({ status: "applied" });
    expect(await indexes()).toEqual(["accounts_email_idx", "accounts_pkey"]);
  });
});

describe("a deadlock in which a statement outside transactions loses", () => {
  /** Whoever waits longer finds the deadlock, and loses: that is the run. */
  async function crossing(statement: string): Promise<Report> {
    const writer = await database.hold(write);
    const running = run(target, migrationOf(statement));
    await untilItWaits(statement);
    await cross(writer);
    return await running;
  }

  async function cross(writer: Holder): Promise<void> {
    await writer.sql("lock table accounts in share row exclusive mode");
    await writer.release();
  }

  test.each([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("leaves no INVALID index: %s", async (statement, left) => {
    const report = await crossing(statement);

    expect(report).toMatchObject({ status: "applied" });
    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
    expect(await indexes()).toEqual(left);
  });
});

describe("a transaction that loses against others", () => {
  test("names who blocks it also where the wait comes late", async () => {
    const reader = await database.hold("select from accounts");

    const report = await run(
      target,
      migrationOf("select pg_sleep(0.7)", "alter table accounts add column name text"),
      { ddlLockTimeoutMs: 400, timeoutMs: 2_500 },
    );
    await reader.release();

    expect(report.error).toMatchObject({
      code: "LOCK_TIMEOUT",
      sqlstate: "55P03",
      statement: { index: 2 },
      retryable: true,
    });
    expect(report.error?.message).toMatch(
      new RegExp(
        `\\(pid ${reader.pid}, role \\S+, connected since \\S+ \\S+ UTC, in a transaction for [1-3] s, idle in transaction for [0-3] s, last statement: select from accounts\\)`,
      ),
    );
    expect(report.error?.message).toContain(`select pg_terminate_backend(${reader.pid});`);
  });

  test("uses the time until its deadline, and no more", async () => {
    const reader = await database.hold("select from accounts");
    const started = Date.now();

    const report = await run(target, migrationOf("alter table accounts add column name text"), {
      ddlLockTimeoutMs: 200,
      timeoutMs: 2_500,
    });
    const tookMs = Date.now() - started;
    await reader.release();

    expect(report.error?.code).toBe("LOCK_TIMEOUT");
    expect(tookMs).toBeGreaterThan(1_200);
    expect(tookMs).toBeLessThan(2_500);
  });

  test("is tried again when it could not be serialized (40001)", async () => {
    await database.sqlAsOwner("create table tries ()");
    const writer = await database.hold("update accounts set email = 'w' where id = 1");
    const running = run(
      target,
      migrationOf(
        "set transaction isolation level repeatable read",
        "update accounts set email = email || '!' where id = 1",
      ),
      { transaction: "each" },
    );
    await untilItWaits("update accounts");
    await writer.sql("commit");

    expect(await running).toMatchObject({ status: "applied" });
    expect(await database.sql("select email from accounts where id = 1")).toEqual([
      { email: "w!" },
    ]);
    await writer.release();
  });

  test("ends in LOCK_TIMEOUT when it deadlocks until the time is over (40P01)", async () => {
    await database.sqlAsOwner("create table other ()");
    const holder = await database.hold("lock table accounts in access exclusive mode");
    const running = run(
      target,
      migrationOf(
        "lock table other in access exclusive mode",
        "lock table accounts in access exclusive mode",
      ),
      { ddlLockTimeoutMs: 3_000, timeoutMs: 5_000 },
    );
    await untilItWaits("lock table accounts");
    await holder.sql("lock table other in access exclusive mode");

    const report = await running;
    await holder.release();

    expect(report.error).toMatchObject({ code: "LOCK_TIMEOUT", sqlstate: "40P01" });
    expect(report.error?.detail).toContain(`process ${holder.pid}`);
    expect(report.error?.message).toContain(`(pid ${holder.pid},`);
  });
});

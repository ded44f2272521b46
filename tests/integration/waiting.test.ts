import { describe, expect, type TestContext, test } from "vitest";
import { createTestDatabase } from "../setup/database.ts";
import { run, targetOf } from "../setup/run.ts";
import { waitFor } from "../setup/wait-for.ts";
import { makeBundle, makeMigration } from "../unit/make-migration.ts";

const migrationOf = (...statements: readonly string[]) =>
  makeBundle(makeMigration("0000_change", 1_000, ...statements));

/** A database with one table, and a way to it. The tests wait rather than work, so they do it side by side. */
async function setUp({ onTestFinished }: Pick<TestContext, "onTestFinished">) {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const target = targetOf(database.url, (await database.startRelay()).address);
  await database.sqlAsOwner("create table accounts (id int primary key, email text)");
  await database.sqlAsOwner("insert into accounts values (1, 'a'), (2, 'b')");

  /** The statement in which a run waits for somebody's lock. */
  async function waitingIn(): Promise<string> {
    const [row] = await database.sql(
      `select query from pg_stat_activity
       where datname = current_database() and application_name like 'neon-migrate/%' and wait_event_type = 'Lock'`,
    );
    return row === undefined ? "" : String(row.query);
  }
  const untilItWaits = (statement: string) =>
    waitFor(async () => (await waitingIn()).includes(statement));
  return {
    database,
    migrate: (statements: readonly string[], request: object = {}) =>
      run(target, migrationOf(...statements), request),
    untilItWaits,
    /** Longer than a statement waits that has a lock time-out of 100 ms. */
    staysWaiting: async (statement: string): Promise<void> => {
      await untilItWaits(statement);
      const until = Date.now() + 300;
      await waitFor(async () => {
        expect(await waitingIn()).toContain(statement);
        return Date.now() > until;
      });
    },
    indexes: async (): Promise<readonly unknown[]> => {
      const rows = await database.sql(
        `select c.relname || case when i.indisvalid then '' else ' INVALID' end as name
         from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid = 'accounts'::regclass order by 1`,
      );
      return rows.map(({ name }) => name);
    },
  };
}

const write = "update accounts set email = email where id = 1";

describe.concurrent("a statement behind which nobody queues", () => {
  test.for<[string, readonly string[]]>([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["drop index concurrently accounts_pkey2", ["accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("waits for older transactions as long as it takes: %s", async ([statement, left], context) => {
    const { database, migrate, staysWaiting, indexes } = await setUp(context);
    if (statement.startsWith("drop")) {
      await database.sqlAsOwner("create index accounts_pkey2 on accounts (id)");
    }
    const writer = await database.hold(write);

    const running = migrate([statement], { ddlLockTimeoutMs: 100 });
    await staysWaiting(statement);
    await writer.release();

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(await indexes()).toEqual(left);
  });

  test("waits so also to detach a partition", async (context) => {
    const { database, migrate, staysWaiting } = await setUp(context);
    await database.sqlAsOwner("create table visits (id int) partition by range (id)");
    await database.sqlAsOwner(
      "create table visits_old partition of visits for values from (0) to (9)",
    );
    const detach = "alter table visits detach partition visits_old concurrently";
    const reader = await database.hold("select from visits");

    const running = migrate([detach], { ddlLockTimeoutMs: 100 });
    await staysWaiting(detach);
    await reader.release();

    expect(await running).toMatchObject({ status: "applied" });
    expect(await database.sql("select from pg_inherits")).toEqual([]);
  });

  test("is ended by the deadline, which says whom it waited for", async (context) => {
    const { database, migrate, indexes } = await setUp(context);
    const build = "create index concurrently on accounts (email)";
    const writer = await database.hold(write);

    const report = await migrate([build], {
      ddlLockTimeoutMs: 100,
      timeoutMs: 1_500,
    });
    await writer.release();

    expect(report.error).toMatchObject({ code: "DEADLINE", migration: "0000_change" });
    expect(report.error?.message).toContain(`(pid ${writer.pid},`);
    expect(report.error?.message).toContain(`last statement: ${write}`);
    expect(report.error?.message).toContain(`select pg_terminate_backend(${writer.pid});`);
    expect(await migrate([build])).toMatchObject({ status: "applied" });
    expect(await indexes()).toEqual(["accounts_email_idx", "accounts_pkey"]);
  });
});

describe.concurrent("a deadlock in which a statement outside transactions loses", () => {
  test.for<[string, readonly string[]]>([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("leaves no INVALID index: %s", async ([statement, left], context) => {
    const { database, migrate, untilItWaits, indexes } = await setUp(context);
    const writer = await database.hold(write);
    const running = migrate([statement]);
    await untilItWaits(statement);

    // Whoever has waited longer finds the deadlock, and loses: that is the run.
    await writer.sql("lock table accounts in share row exclusive mode");
    await writer.release();
    const report = await running;

    expect(report).toMatchObject({ status: "applied" });
    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
    expect(await indexes()).toEqual(left);
  });
});

describe.concurrent("a transaction that loses against others", () => {
  test("names who blocks it also where the wait comes late", async (context) => {
    const { database, migrate } = await setUp(context);
    const reader = await database.hold("select from accounts");

    const report = await migrate(
      ["select pg_sleep(0.7)", "alter table accounts add column name text"],
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
        `\\(pid ${reader.pid}, role \\S+, connected since \\S+ \\S+ UTC, in a transaction for \\d+ s, idle in transaction for \\d+ s, last statement: select from accounts\\)`,
      ),
    );
    expect(report.error?.message).toContain(`select pg_terminate_backend(${reader.pid});`);
  });

  test("uses the time until its deadline, and no more", async (context) => {
    const { database, migrate } = await setUp(context);
    const reader = await database.hold("select from accounts");
    const started = Date.now();

    const report = await migrate(["alter table accounts add column name text"], {
      ddlLockTimeoutMs: 200,
      timeoutMs: 2_500,
    });
    const tookMs = Date.now() - started;
    await reader.release();

    expect(report.error?.code).toBe("LOCK_TIMEOUT");
    expect(tookMs).toBeGreaterThan(1_200);
    expect(tookMs).toBeLessThan(2_500);
  });

  test("is tried again when it could not be serialized (40001)", async (context) => {
    const { database, migrate, untilItWaits } = await setUp(context);
    await database.sqlAsOwner("create table tries ()");
    const writer = await database.hold("update accounts set email = 'w' where id = 1");
    const running = migrate(
      [
        "set transaction isolation level repeatable read",
        "update accounts set email = email || '!' where id = 1",
      ],
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

  test("ends in LOCK_TIMEOUT when it deadlocks until the time is over (40P01)", async (context) => {
    const { database, migrate, untilItWaits } = await setUp(context);
    await database.sqlAsOwner("create table other ()");
    const holder = await database.hold("lock table accounts in access exclusive mode");
    const running = migrate(
      ["lock table other in access exclusive mode", "lock table accounts in access exclusive mode"],
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

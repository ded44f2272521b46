import { describe, expect } from "vitest";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int primary key, email text)",
  "insert into accounts values (1, 'a'), (2, 'b')",
);

async function indexes(database: TestDatabase): Promise<readonly unknown[]> {
  const rows = await database.sql(
    "select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'accounts'::regclass order by 1",
  );
  return rows.map(({ name, valid }) => `${name}${valid === true ? "" : " INVALID"}`);
}

async function checkpoints(database: TestDatabase): Promise<unknown> {
  const rows = await database.sql(
    "select tag, done, running from drizzle.__drizzle_migrations_checkpoints",
  );
  return rows;
}

describe("a migration with statements that no transaction can hold", () => {
  const indexing = makeMigration(
    "0001_indexing",
    2_000,
    "alter table accounts add column name text",
    "create unique index concurrently accounts_email on accounts (email)",
    "insert into accounts (id, email) values (3, 'c')",
    "drop index concurrently accounts_email",
    "create index concurrently on accounts (name)",
  );

  test("is applied step by step, and leaves one ledger row and no checkpoint", async ({
    database,
    target,
  }) => {
    const report = await run(target, makeBundle(accounts, indexing));

    expect(report).toMatchObject({
      status: "applied",
      executor: "statements",
      executorReason: "not-transactional",
      atomic: false,
      applied: [{ tag: accounts.tag }, { tag: indexing.tag, statements: 5 }],
    });
    expect(await indexes(database)).toEqual(["accounts_name_idx", "accounts_pkey"]);
    expect(await checkpoints(database)).toEqual([]);
    expect(await run(target, makeBundle(accounts, indexing))).toMatchObject({
      status: "up-to-date",
    });
  });

  test("goes on at the statement that failed, and repeats none that was done", async ({
    database,
    target,
  }) => {
    await database.sql("create table fails (n int)");
    const failing = makeMigration(
      "0001_failing",
      2_000,
      "insert into accounts values (3, 'a')",
      "create unique index concurrently accounts_email on accounts (email)",
      "insert into accounts values (4, 'd')",
    );

    const failed = await run(target, makeBundle(accounts, failing));

    expect(failed).toMatchObject({
      status: "failed",
      applied: [{ tag: accounts.tag }],
      pending: [{ tag: failing.tag, statements: 3, done: 1 }],
      error: {
        code: "MIGRATION_FAILED",
        sqlstate: "23505",
        migration: failing.tag,
        statement: { index: 2 },
      },
    });
    expect(failed.error?.message).toContain("Statement 1 of 3 is done");
    expect(await indexes(database)).toEqual(["accounts_email INVALID", "accounts_pkey"]);
    const status = await run(target, makeBundle(accounts, failing), { action: "status" });
    expect(status.pending).toMatchObject([
      { done: 1, reasons: ["half-applied", "not-transactional"] },
    ]);

    await database.sql("delete from accounts where id = 3");
    const edited = makeMigration(
      "0001_failing",
      2_000,
      "insert into accounts values (3, 'a')",
      "create unique index concurrently accounts_email on accounts (email)",
      "insert into accounts values (5, 'e')",
    );
    const report = await run(target, makeBundle(accounts, edited));

    expect(report).toMatchObject({ status: "applied", applied: [{ tag: failing.tag }] });
    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
    expect(await indexes(database)).toEqual(["accounts_email", "accounts_pkey"]);
    expect(await database.sql("select id from accounts order by id")).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 5 },
    ]);
    expect(await checkpoints(database)).toEqual([]);
  });

  test("leaves no INVALID index when it loses against others and is tried again", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner(
      "create sequence tries; create function losing(name text) returns text immutable language plpgsql as $$ begin if nextval('public.tries') <= 2 then raise exception 'lost' using errcode = '40001'; end if; return name; end $$",
    );
    const losing = makeMigration(
      "0001_losing",
      2_000,
      "insert into accounts values (3, 'c')",
      "create index concurrently on accounts (losing(email))",
      "insert into accounts values (4, 'd')",
    );

    const report = await run(target, makeBundle(accounts, losing));

    expect(report).toMatchObject({ status: "applied", applied: [{}, { tag: losing.tag }] });
    expect(report.warnings.map(({ code }) => code)).toContain("INVALID_INDEX_DROPPED");
    expect(await indexes(database)).toEqual(["accounts_losing_idx", "accounts_pkey"]);
    expect(await database.sql("select count(*)::int as n from accounts")).toEqual([{ n: 4 }]);
    expect(await checkpoints(database)).toEqual([]);
  });

  test("is not gone on with when a statement that has run was edited", async ({ target }) => {
    const half = (first: string) =>
      makeMigration("0001_half", 2_000, first, "vacuum accounts", "select 1 / 0");
    await run(target, makeBundle(accounts, half("insert into accounts values (3, 'c')")));

    const report = await run(
      target,
      makeBundle(accounts, half("insert into accounts values (4, 'd')")),
    );

    expect(report).toMatchObject({
      error: { code: "MODIFIED", migration: "0001_half" },
      drift: { modified: [{ tag: "0001_half" }] },
    });
    expect(report.error?.message).toContain("statement 1");
    expect(report.error?.message).toContain("repair --accept 0001_half");
  });
});

describe("COMMIT and BEGIN in a migration", () => {
  test("are the boundaries that their authors meant", async ({ database, target }) => {
    const mixed = makeMigration(
      "0001_mixed",
      2_000,
      "create temp table work on commit drop as select id from accounts",
      "set local my.setting = 'inside'",
      "insert into accounts select id + 10, 'x' from work",
      "COMMIT;",
      "set my.other = 'survives'",
      "create index concurrently accounts_email on accounts (email)",
      "insert into accounts values (50, current_setting('my.other'))",
      "BEGIN;",
      "insert into accounts values (60, coalesce(nullif(current_setting('my.setting', true), ''), 'gone'))",
    );

    const report = await run(target, makeBundle(accounts, mixed));

    expect(report).toMatchObject({ status: "applied", atomic: false });
    expect(await database.sql("select * from accounts where id >= 50 order by id")).toEqual([
      { id: 50, email: "survives" },
      { id: 60, email: "gone" },
    ]);
  });

  test("keep what was committed, and a later run has the settings that the first part made", async ({
    database,
    target,
  }) => {
    const stopping = makeMigration(
      "0001_stopping",
      2_000,
      "set my.setting = 'made'",
      "insert into accounts values (3, 'c')",
      "COMMIT",
      "insert into accounts values (4, 'd')",
      "insert into accounts values (5, current_setting('my.setting')), (6, (select email from missing))",
    );
    const failed = await run(target, makeBundle(accounts, stopping));
    expect(failed).toMatchObject({ error: { statement: { index: 5 } }, pending: [{ done: 4 }] });
    await database.sqlAsOwner("create table missing as select 'm'::text as email");

    const report = await run(target, makeBundle(accounts, stopping));

    expect(report).toMatchObject({ status: "applied" });
    expect(await database.sql("select * from accounts where id > 2 order by id")).toEqual([
      { id: 3, email: "c" },
      { id: 4, email: "d" },
      { id: 5, email: "made" },
      { id: 6, email: "m" },
    ]);
  });
});

describe("a new enum value", () => {
  const moods = makeMigration("0000_moods", 1_000, "create type mood as enum ('sad')");
  const happy = makeMigration("0001_happy", 2_000, "alter type mood add value 'happy'");
  const used = makeMigration(
    "0002_used",
    3_000,
    "create table people (mood mood default 'happy')",
    "insert into people default values",
  );

  test("stays in the transaction that creates its type where the server takes it, and costs no second attempt", async ({
    target,
  }) => {
    const lines: string[] = [];

    const report = await run(
      target,
      makeBundle(moods, happy, used),
      {},
      { log: (event) => lines.push(event) },
    );

    const takes = Number.parseInt(report.database?.serverVersion ?? "", 10) >= 17;
    expect(report).toMatchObject({
      ...{ status: "applied", executor: takes ? "drizzle" : "statements", atomic: takes },
      cuts: takes ? [] : [{ migration: used.tag, statement: 1, reason: "new-enum-value" }],
    });
    expect(lines).not.toContain("plan.again");
  });

  test("is committed before a statement of another file uses it", async ({ database, target }) => {
    await run(target, makeBundle(moods));

    const report = await run(target, makeBundle(moods, happy, used));

    expect(report).toMatchObject({ status: "applied", executorReason: "new-enum-value" });
    expect(await database.sql("select * from people")).toEqual([{ mood: "happy" }]);
  });

  test("is committed before its use where no text says so: found out once, then planned for", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(moods));
    const hidden = makeMigration(
      "0001_hidden",
      2_000,
      "create table people (mood mood)",
      "alter type mood add value 'happy'",
      "insert into people values (('hap' || 'py')::mood)",
    );

    const report = await run(target, makeBundle(moods, hidden));

    expect(report).toMatchObject({ status: "applied", applied: [{ tag: hidden.tag }] });
    expect(await database.sql("select * from people")).toEqual([{ mood: "happy" }]);
  });
});

describe("a type that only looks new", () => {
  const used = [
    "alter type mood add value 'happy'",
    "create table people (mood mood default 'happy')",
    "insert into people default values",
  ];

  test("is one that the search path does not mean: found out once, then planned for", async ({
    database,
    target,
  }) => {
    const old = makeMigration("0000_old", 1_000, "create type mood as enum ('sad')");
    await run(target, makeBundle(old));
    const other = makeMigration(
      "0001_other",
      2_000,
      "create schema other",
      "create type other.mood as enum ('sad')",
      ...used,
    );

    const report = await run(target, makeBundle(old, other));

    expect(report).toMatchObject({ status: "applied", executorReason: "new-enum-value" });
    expect(await database.sql("select mood::text from people")).toEqual([{ mood: "happy" }]);
  });

  test("is one that was made in a block of its own, as drizzle-kit once wrote it", async ({
    database,
    target,
  }) => {
    const block = makeMigration(
      "0000_block",
      1_000,
      "do $$ begin create type mood as enum ('sad'); exception when duplicate_object then null; end $$",
      ...used,
    );

    expect(await run(target, makeBundle(block))).toMatchObject({ status: "applied" });
    expect(await database.sql("select mood::text from people")).toEqual([{ mood: "happy" }]);
  });
});

describe.each(["drizzle", "statements"])("what a file sets for its session, by %s,", (executor) => {
  test("ends with the file, whatever is deployed along with it", async ({ database, target }) => {
    const dump = makeMigration(
      "0001_dump",
      2_000,
      "select pg_catalog.set_config('search_path', '', false)",
      "set my.setting = 'set'",
      "create temp table scratch as select 1 as id",
      "create table public.dumped (id int)",
    );
    const next = makeMigration(
      "0002_next",
      3_000,
      "create temp table scratch as select 2 as id",
      "insert into accounts select id + 10, coalesce(nullif(current_setting('my.setting', true), ''), 'unset') from scratch",
    );

    const report = await run(target, makeBundle(accounts, dump, next), { executor });

    expect(report).toMatchObject({ status: "applied", executor, atomic: true });
    expect(await database.sql("select email from accounts where id = 12")).toEqual([
      { email: "unset" },
    ]);
  });

  test("is not in the way of the ledger row, which is written as ourselves", async ({
    database,
    target,
  }) => {
    const { name } = await database.createRole("reader");
    await database.sql(
      `grant ${name} to ${database.owner.name}; grant create on schema public to ${name}`,
    );
    const role = makeMigration(
      "0001_role",
      2_000,
      `set role ${name}`,
      "create table theirs (id int)",
    );
    const next = makeMigration("0002_next", 3_000, "create table ours (id int)");

    const report = await run(target, makeBundle(accounts, role, next), { executor });

    expect(report).toMatchObject({ status: "applied", executor });
    const owners = await database.sql(
      "select tablename::text as table from pg_tables where tableowner = $1",
      [name],
    );
    expect(owners).toEqual([{ table: "theirs" }]);
    await database.sql(`drop owned by ${name}`);
  });
});

test("a checkpoint is written as ourselves, and what follows it goes on as the role that was set", async ({
  database,
  target,
}) => {
  const { name } = await database.createRole("builder");
  await database.sql(
    `grant ${name} to ${database.owner.name}; grant create on schema public to ${name}`,
  );
  const role = makeMigration(
    "0000_role",
    1_000,
    `set role ${name}`,
    "create table theirs (id int)",
    "commit",
    "create index concurrently theirs_id on theirs (id)",
    "create table theirs_too as select current_user::text as who",
  );

  expect(await run(target, makeBundle(role))).toMatchObject({ status: "applied" });
  expect(await database.sql("select * from theirs_too")).toEqual([{ who: name }]);
  await database.sql(`drop owned by ${name}`);
});

describe("what only the catalog knows", () => {
  test("REINDEX of a partitioned table stands alone once the server has said so", async ({
    database,
    target,
  }) => {
    const partitions = makeMigration(
      "0000_partitions",
      1_000,
      "create table parts (id int primary key) partition by range (id)",
      "create table part_1 partition of parts for values from (0) to (10)",
      "reindex table parts",
      "insert into parts values (1)",
    );

    expect(await run(target, makeBundle(partitions))).toMatchObject({ status: "applied" });
    expect(await database.sql("select * from parts")).toEqual([{ id: 1 }]);
  });

  test("a procedure that commits stands alone", async ({ database, target }) => {
    const calling = makeMigration(
      "0001_calling",
      2_000,
      "create procedure fill() language plpgsql as $$ begin insert into accounts values (7, 'g'); commit; insert into accounts values (8, 'h'); end $$",
      "call fill()",
    );

    expect(await run(target, makeBundle(accounts, calling))).toMatchObject({ status: "applied" });
    expect(await database.sql("select id from accounts where id > 2 order by id")).toEqual([
      { id: 7 },
      { id: 8 },
    ]);
  });

  test("a block that commits stands alone, each of several in a file", async ({
    database,
    target,
  }) => {
    const block = (id: number) =>
      `do $$ begin insert into accounts values (${id}, 'x'); commit; insert into accounts values (${id + 1}, 'y'); end $$`;
    const blocks = makeMigration(
      "0001_blocks",
      2_000,
      block(7),
      "update accounts set email = 'z' where id = 8",
      block(9),
    );

    const report = await run(target, makeBundle(accounts, blocks));

    expect(report).toMatchObject({ status: "applied", warnings: [] });
    expect(await database.sql("select * from accounts where id > 2 order by id")).toEqual([
      { id: 7, email: "x" },
      { id: 8, email: "z" },
      { id: 9, email: "x" },
      { id: 10, email: "y" },
    ]);
  });
});

import { describe, expect } from "vitest";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const first = makeMigration(
  "0000_first",
  1_000,
  "create table t (id int primary key, a int)",
  "create table seen (what text)",
  "create table rows (id int)",
  "create schema other",
  "create table other.t (id int, a int)",
);
const CONCURRENTLY = "create index concurrently t_a on t (a)";

const seenIn = async (database: TestDatabase) =>
  (await database.sql("select what from seen")).map(({ what }) => what);

const indexesIn = async (database: TestDatabase) =>
  (
    await database.sql(
      "select schemaname || '.' || indexname as name from pg_indexes where indexname ~ '^t_[a-z]$' order by 1",
    )
  ).map(({ name }) => name);

async function memberOf(database: TestDatabase): Promise<string> {
  const { name } = await database.createRole("member");
  await database.sql(`grant ${name} to ${database.owner.name}`);
  return name;
}

describe("a statement that stands alone at the head of a file", () => {
  test.for([
    ["a search path", () => "perform set_config('search_path', 'other', false);"],
    ["a role", (role: string) => `perform set_config('role', '${role}', false);`],
    ["both", (role: string) => `set search_path = other; execute 'set role ${role}';`],
    ["and gives the lock away", () => "perform pg_advisory_unlock_all();"],
  ] as const)(
    "works as before what the deferred trigger of the file before it sets: %s",
    async ([, body], { database, target }) => {
      await run(target, makeBundle(first));
      await database.sqlAsOwner(
        `create function sets() returns trigger language plpgsql as
           $$ begin ${body(await memberOf(database))} return null; end $$;
         create constraint trigger sets after insert on rows deferrable initially deferred
           for each row execute function sets()`,
      );
      const sets = makeMigration("0001_sets", 2_000, "insert into rows values (1)");
      const builds = makeMigration("0002_builds", 3_000, CONCURRENTLY);

      const report = await run(target, makeBundle(first, sets, builds));

      expect(report).toMatchObject({ status: "applied", applied: [sets, builds].map(tagOf) });
      expect(await indexesIn(database)).toEqual(["public.t_a"]);
    },
  );

  test.for([
    "set search_path = other",
    "select set_config('search_path', 'other', false)",
    "do $$ begin perform set_config('search_path', 'other', false); end $$",
  ])(
    "is looked at by the names of its own file, not of one that ended alone: %s",
    async (sets, { database, target }) => {
      await run(target, makeBundle(first));
      await database.sqlAsOwner("insert into t values (1, 1), (2, 1)");
      const ends = makeMigration("0001_ends", 2_000, sets, CONCURRENTLY);
      const fails = makeMigration(
        "0002_fails",
        3_000,
        "create unique index concurrently t_u on t (a)",
      );

      const report = await run(target, makeBundle(first, ends, fails));

      expect(report).toMatchObject({ applied: [tagOf(ends)], error: { sqlstate: "23505" } });
      expect(report.error?.message).toContain(`It left an INVALID index behind: "public"."t_u".`);
      expect(await indexesIn(database)).toEqual(["other.t_a", "public.t_u"]);
    },
  );
});

describe("a run that goes on in a file makes again what is set, and nothing else:", () => {
  test.for([
    [["set search_path = other", "discard all"], "public.t_u"],
    [["begin", "set search_path = other", "rollback"], "public.t_u"],
    [["begin", "set search_path = other", "rollback and chain", "commit"], "public.t_u"],
    [["set search_path = other", "begin", "set search_path = public", "rollback"], "other.t_u"],
    [["begin", "set search_path = other", "commit"], "other.t_u"],
    [["commit", "set search_path = other", "rollback"], "other.t_u"],
    [["set search_path = public", "discard all", "set search_path = other"], "other.t_u"],
    [["savepoint a", "set search_path = other", "rollback to a"], "public.t_u"],
    [["savepoint a", "set search_path = other", "release a"], "other.t_u"],
    [
      [
        "set search_path = other",
        'savepoint "a"',
        "savepoint b",
        "set search_path = public",
      ].concat("rollback work to savepoint A"),
      "other.t_u",
    ],
    [
      ["savepoint a", "set search_path = other", "savepoint a", "set search_path = public"].concat(
        "rollback transaction to a",
      ),
      "other.t_u",
    ],
  ] satisfies [string[], string][])("%j", async ([sets, index], { database, target }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(
      "insert into t values (1, 1), (2, 1); insert into other.t select * from t",
    );
    const file = makeMigration(
      ...(["0001_file", 2_000, ...sets] as const),
      "create unique index concurrently t_u on t (a)",
    );

    expect((await run(target, makeBundle(first, file))).error?.sqlstate).toBe("23505");
    await database.sqlAsOwner("delete from t; delete from other.t");

    expect(await run(target, makeBundle(first, file))).toMatchObject({ status: "applied" });
    expect(await indexesIn(database)).toEqual([index]);
  });
});

describe("a temporary table that ended with its session", () => {
  const UNIQUE = "create unique index concurrently t_u on t (a)";

  test.for([
    [["create temp table kept (a int)", UNIQUE], "kept"],
    [
      [
        "create temporary table if not exists kept as select 1 as a",
        "commit",
        "select 1 / (select count(*) - 2 from t)",
      ],
      "kept",
    ],
    [["select 1 as a into temp kept", UNIQUE], "kept"],
    [['create table pg_temp."kept too" (a int)', UNIQUE], '"kept too"'],
    [["create local temp view kept as select 1 as a", UNIQUE], "kept"],
  ] satisfies [string[], string][])(
    "is named, with the way out, which helps: %j",
    async ([statements, name], { database, target }) => {
      await run(target, makeBundle(first));
      await database.sqlAsOwner("insert into t values (1, 1), (2, 1)");
      const use = `insert into seen select count(*)::text from ${name}`;
      const written = ["0001_file", 2_000, ...statements] as const;
      const file = makeMigration(...written, use);
      await run(target, makeBundle(first, file));
      await database.sqlAsOwner("delete from t");

      const { error } = await run(target, makeBundle(first, file));
      const again = await run(target, makeBundle(first, file));
      const made = `create temp table ${name} (a int)`;
      const edited = await run(target, makeBundle(first, makeMigration(...written, made, use)));

      expect(error).toMatchObject({
        ...{ code: "MIGRATION_FAILED", migration: file.tag },
        message: expect.stringContaining(`The temporary ${name} is gone: statement 1 has made it`),
        statement: { index: statements.length + 1 },
      });
      expect(again.error).toMatchObject({ statement: { index: statements.length + 1 } });
      expect(edited.status).toBe("applied");
      expect(await seenIn(database)).toEqual(["0"]);
    },
  );

  test("is no matter where the rest does not use it", async ({ database, target }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner("insert into t values (1, 1), (2, 1)");
    const file = makeMigration(
      ...(["0001_file", 2_000, "create temp table kept (a int)", UNIQUE] as const),
      "drop table if exists kept",
    );
    await run(target, makeBundle(first, file));
    await database.sqlAsOwner("delete from t");

    expect((await run(target, makeBundle(first, file))).status).toBe("applied");
  });
});

describe("the record in the middle of a file is written as ourselves", () => {
  test.for(["set session authorization", "set local session authorization"])(
    "where a superuser works as another one: %s",
    async (set, { database, relay }) => {
      const superuser = await database.createRole("superuser");
      await database.sql(`alter role ${superuser.name} superuser`);
      const target = targetOf(database.urlOf(superuser), relay.address);
      await run(target, makeBundle(first));
      await database.sql(`alter table t owner to ${database.owner.name};
        grant insert on seen to ${database.owner.name}`);
      const file = makeMigration(
        "0001_file",
        2_000,
        `${set} ${database.owner.name}`,
        "insert into seen select current_user::text",
        CONCURRENTLY,
        "insert into seen select current_user::text",
      );

      const report = await run(target, makeBundle(first, file));

      const worker = database.owner.name;
      const isLocal = set.includes("local");
      expect(report).toMatchObject({ status: "applied", applied: [tagOf(file)] });
      expect(await seenIn(database)).toEqual([worker, isLocal ? superuser.name : worker]);
      await database.sql(`reassign owned by ${superuser.name} to ${database.owner.name}`);
    },
  );

  test("and the ledger is read as ourselves where the run plans once more", async ({
    database,
    target,
  }) => {
    const role = await memberOf(database);
    await database.sql(`grant create, usage on schema public to ${role}`);
    await run(target, makeBundle(first));
    const file = makeMigration(
      "0001_file",
      2_000,
      `set role ${role}`,
      "create type kind as enum ('a')",
      "create table kinds as select current_user::text as who",
      "commit",
      "begin",
      "alter type kind add value 'zz'",
      "do $$ begin execute 'insert into kinds values ((''z'' || ''z'')::kind::text)'; end $$",
    );

    expect(await run(target, makeBundle(first, file))).toMatchObject({ status: "applied" });
    expect(await database.sql("select who from kinds")).toEqual([{ who: role }, { who: "zz" }]);
    await database.sql(`drop owned by ${role}`);
  });

  test("also where the file wants its transactions read-only by default", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(first));
    const file = makeMigration(
      "0001_file",
      2_000,
      "set default_transaction_isolation = serializable",
      "commit",
      "set default_transaction_read_only = on",
      CONCURRENTLY,
      "set default_transaction_read_only = off",
    );

    expect((await run(target, makeBundle(first, file))).error?.sqlstate).toBe("25006");
    expect(await indexesIn(database)).toEqual([]);
  });
});

describe("our own settings of the session are there again", () => {
  const looks = `insert into seen select
    concat(current_setting('idle_in_transaction_session_timeout'), ' ', current_setting('client_connection_check_interval'), ' ',
      coalesce(nullif(current_setting('transaction_timeout', true), '0'), 'none') <> 'none')`;

  test.for([
    ["behind a file that may have set something", ["insert into rows values (1)"]],
    ["behind a file with RESET ALL", ["reset all"]],
    ["behind DISCARD ALL", ["discard all"]],
    ["behind DISCARD ALL in an autocommit file", ["commit", "discard all", "select 1"]],
  ] satisfies [string, string[]][])("%s", async ([, statements], { database, target }) => {
    const clears = makeMigration("0001_clears", 2_000, ...statements);
    await run(target, makeBundle(first));
    const timed = Number(await versionOf(database)) >= 170_000;

    await run(target, makeBundle(first, clears, makeMigration("0002_looks", 3_000, looks)));

    expect(await seenIn(database)).toEqual([`1min 1s ${timed ? "t" : "f"}`]);
  });

  test("as behind DISCARD ALL in the very file", async ({ database, target }) => {
    await run(target, makeBundle(first));

    await run(target, makeBundle(first, makeMigration("0001_a", 2_000, "discard all", looks)));

    expect((await seenIn(database))[0]).toMatch(/^1min 1s/);
  });

  test.for(["reset all", "RESET  ALL"])(
    "and %s does not take away the bound of waits for locks",
    async (reset, { database, target }) => {
      await run(target, makeBundle(first));
      const file = makeMigration(
        "0001_file",
        2_000,
        reset,
        "insert into seen select current_setting('lock_timeout')",
      );

      await run(target, makeBundle(first, file), { ddlLockTimeoutMs: 1_234 });

      expect(await seenIn(database)).toEqual(["1234ms"]);
    },
  );
});

describe("the bound of waits holds again for a statement that stands alone", () => {
  test.for([
    [["set lock_timeout = '5min'", "reset all"]],
    [["begin", "set lock_timeout = '5min'", "rollback"]],
    [["set lock_timeout = '5min'", "discard all"]],
  ] satisfies [string[]][])("%j", async ([sets], { database, target }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(`create procedure looks() language plpgsql as
      $$ begin commit; insert into seen select current_setting('lock_timeout'); end $$`);
    const file = makeMigration(...(["0001_file", 2_000, ...sets] as const), "call looks()");

    await run(target, makeBundle(first, file), { ddlLockTimeoutMs: 1_234 });

    expect(await seenIn(database)).toEqual(["1234ms"]);
  });
});

describe("deferred constraints", () => {
  const child = makeMigration(
    "0001_child",
    2_000,
    "create table child (id int references t deferrable)",
    "create table late (id int references t deferrable initially deferred)",
  );

  test.for([
    [["create table more (id int)", "insert into late values (99)", "commit", "select 1"]],
    [["commit", "insert into late values (99)", "select 1"]],
    [["insert into late values (99)"]],
    [["insert into late values (99)", CONCURRENTLY]],
  ] satisfies [string[]][])(
    "that fail at the COMMIT name the migration: %j",
    async ([statements], { database, target }) => {
      await run(target, makeBundle(first, child));
      const file = makeMigration("0002_file", 3_000, ...statements);

      const { error } = await run(target, makeBundle(first, child, file));

      expect(error).toMatchObject({ migration: file.tag, sqlstate: "23503" });
      expect(error?.message).toContain("All statements of 0002_file passed, but");
      expect(await database.sql("select from late")).toEqual([]);
    },
  );

  describe.each(["drizzle", "statements"])("end with their file, by %s:", (executor) => {
    test.for([
      "set constraints all deferred",
      "set constraints child_id_fkey deferred",
      "do $$ begin set constraints all deferred; end $$",
    ])("%s", async (sets, { database, target }) => {
      await run(target, makeBundle(first, child));
      const bundle = makeBundle(
        ...[first, child, makeMigration("0002_sets", 3_000, sets)],
        makeMigration(
          "0003_late",
          4_000,
          "insert into child values (7)",
          "insert into t values (7)",
        ),
      );

      const { error } = await run(target, bundle, { executor });

      expect(error).toMatchObject({ migration: "0003_late", sqlstate: "23503" });
      expect(error?.statement?.index).toBe(1);
      expect(await database.sql("select from child")).toEqual([]);
    });

    test("those that wait by themselves go on to wait", async ({ database, target }) => {
      await run(target, makeBundle(first, child));
      const bundle = makeBundle(
        ...[first, child],
        makeMigration(
          ...(["0002_sets", 3_000, "set constraints all immediate"] as const),
          "set constraints all deferred",
          "insert into late values (7)",
        ),
        makeMigration("0003_late", 4_000, "insert into late values (8)"),
        makeMigration("0004_rows", 5_000, "insert into t values (7), (8)"),
      );

      expect((await run(target, bundle, { executor })).status).toBe("applied");
      expect(await database.sql("select from late")).toHaveLength(2);
    });

    test("a check that a file has put off until its end names that file", async ({
      database,
      target,
    }) => {
      await run(target, makeBundle(first, child));
      const bundle = makeBundle(
        ...[first, child],
        makeMigration(
          ...(["0002_sets", 3_000, "set constraints all deferred"] as const),
          "insert into child values (7)",
        ),
        makeMigration("0003_rows", 4_000, "insert into t values (7)"),
      );

      const { error } = await run(target, bundle, { executor });

      expect(error).toMatchObject({ migration: "0002_sets", sqlstate: "23503" });
      expect(await database.sql("select from child")).toEqual([]);
    });
  });
});

function tagOf({ tag }: { readonly tag: string }): object {
  return expect.objectContaining({ tag });
}

async function versionOf(database: TestDatabase): Promise<unknown> {
  const [row] = await database.sql("select current_setting('server_version_num') as version");
  return row?.version;
}

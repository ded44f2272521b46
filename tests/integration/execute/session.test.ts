import { describe, expect, inject } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const first = makeMigration(
  "0000_first",
  1_000,
  "create table seen (search_path text, setting text)",
  "create table rows (id int)",
  "create function sets() returns void language plpgsql as $$ begin perform set_config('my.setting', 'set', false); end $$",
  "create function sets_by_trigger() returns trigger language plpgsql as $$ begin perform set_config('my.setting', 'set', false); return new; end $$",
  "create function sets_in_check(id int) returns boolean language plpgsql as $$ begin perform set_config('my.setting', 'set', false); return true; end $$",
);
const trigger =
  "create trigger sets after insert or update or delete on rows for each row execute function sets_by_trigger()";
const looks = makeMigration(
  "0002_looks",
  3_000,
  "insert into public.seen values (current_setting('search_path'), coalesce(nullif(current_setting('my.setting', true), ''), 'unset'))",
);

/** PostgreSQL 14 does not know MERGE. */
const MERGES: [string, string[]][] =
  inject("postgresMajor") < 15
    ? []
    : [
        [
          "an update by MERGE",
          [
            trigger,
            "merge into rows using (select 1 as id) as s on rows.id = s.id when not matched then insert values (1)",
          ],
        ],
      ];

describe.each(["drizzle", "statements"])("what a file sets for its session, by %s,", (executor) => {
  test.for([
    [
      "INSERT … SELECT set_config",
      ["insert into seen select set_config('search_path', 'pg_catalog', false), 'x'"],
    ],
    ["a trigger", [trigger, "insert into rows values (1)"]],
    [
      "EXECUTE of a prepared statement",
      ["prepare p as select set_config('my.setting', 'set', false)", "execute p"],
    ],
    ["a function in a condition", ["delete from rows where sets() is null"]],
    [
      "CREATE TABLE AS",
      ["create table made as select set_config('my.setting', 'set', false) as x"],
    ],
    [
      "the default of a table of its own",
      [
        "create table own (id int, set boolean default sets_in_check(1))",
        "insert into own (id) values (1)",
      ],
    ],
    [
      "a call among the values for a table of its own",
      ["create table own (x text)", 'insert into own values ("sets_in_check"(1)::text)'],
    ],
    [
      "the check of a domain in a table of its own",
      [
        "create domain checked as int check (sets_in_check(value))",
        "create table own (x checked)",
        "insert into own values (1)",
      ],
    ],
    [
      "an operator among the values for a table of its own",
      [
        "create function adds(a int, b int) returns int language plpgsql as $$ begin perform sets(); return a + b; end $$",
        "create operator public.@+ (leftarg = int, rightarg = int, function = adds)",
        "create table own (x int)",
        "insert into own values (1 @+ 2)",
      ],
    ],
    [
      "the trigger of a table of its own",
      [
        "create table own (id int)",
        "create trigger t after insert on own for each row execute function sets_by_trigger()",
        "insert into own values (1)",
      ],
    ],
    [
      "a constraint of a table with rows",
      [
        "insert into rows values (1)",
        "alter table rows add constraint c check (sets_in_check(id))",
      ],
    ],
    [
      "a materialized view",
      ["create materialized view v as select set_config('my.setting', 'set', false)"],
    ],
    ...MERGES,
  ] satisfies [string, string[]][])(
    "ends with the file also where %s sets it",
    async ([, statements], { database, target }) => {
      const sets = makeMigration("0001_sets", 2_000, ...statements);

      const report = await run(target, makeBundle(first, sets, looks), { executor });

      expect(report).toMatchObject({ status: "applied", executor, atomic: true });
      expect(await database.sql("select * from seen where setting <> 'x'")).toEqual([
        { search_path: '"$user", public', setting: "unset" },
      ]);
    },
  );
});

test.for(["drizzle", "statements"])(
  "what a deferred trigger sets at the COMMIT of a file does not reach the next transaction of %s",
  async (executor, { database, target }) => {
    const deferred = makeMigration(
      "0001_deferred",
      2_000,
      "create constraint trigger sets after insert on rows deferrable initially deferred for each row execute function sets_by_trigger()",
      "insert into rows values (1)",
    );

    const report = await run(target, makeBundle(first, deferred, looks), {
      ...{ executor, transaction: "each" },
    });

    expect(report).toMatchObject({ status: "applied", executor });
    expect(await database.sql("select setting from seen")).toEqual([{ setting: "unset" }]);
  },
);

describe("rows whose deferred constraints wait for their COMMIT", () => {
  const tables = makeMigration(
    "0000_tables",
    1_000,
    "create table parents (id int primary key)",
    "create table children (id int, parent int references parents deferrable initially deferred)",
  );
  const fill = ["insert into children values (1, 1)", "insert into parents values (1)"];
  const failing = makeMigration("0009_failing", 9_000, "select 1 / 0");

  test.for([
    ["an ALTER TABLE", "alter table children add column note text"],
    ["a DROP TABLE", "drop table children"],
    ["a TRUNCATE", "truncate children"],
    ["an index", "create index children_parent on children (parent)"],
    [
      "a block of its own",
      "do $$ begin alter table children add column note text; exception when duplicate_column then null; end $$",
    ],
  ] satisfies [string, string][])(
    "part the files before %s, and leave each whole",
    async ([, statement], { database, target }) => {
      const rows = makeMigration("0001_rows", 2_000, ...fill);
      const alters = makeMigration("0002_alters", 3_000, "create table before (id int)", statement);

      const report = await run(target, makeBundle(tables, rows, alters, failing));

      expect(report).toMatchObject({
        ...{ status: "failed", applied: [{ tag: tables.tag }, { tag: rows.tag }] },
        pending: [{ tag: alters.tag, done: 0 }, { tag: failing.tag }],
        cuts: [{ migration: alters.tag, statement: 2, reason: "pending-trigger-events" }],
        error: { migration: failing.tag, sqlstate: "22012" },
      });
      expect(await database.sql("select to_regclass('before') as before")).toEqual([
        { before: null },
      ]);
    },
  );

  test("part one file where it cannot be applied otherwise", async ({ database, target }) => {
    const both = makeMigration(
      "0001_both",
      2_000,
      ...fill,
      "alter table children add column note text default 'x'",
    );

    const report = await run(target, makeBundle(tables, both));

    expect(report).toMatchObject({
      status: "applied",
      cuts: [{ migration: both.tag, statement: 3, reason: "pending-trigger-events" }],
    });
    expect(await database.sql("select * from children")).toEqual([{ id: 1, parent: 1, note: "x" }]);
  });

  test("are no reason to cut where the statement itself uses the table", async ({
    database,
    target,
  }) => {
    const uses = makeMigration(
      "0001_uses",
      2_000,
      "insert into parents values (1)",
      "do $$ declare r record; begin for r in select * from parents loop alter table parents add column x int; end loop; end $$",
    );

    const report = await run(target, makeBundle(tables, uses));

    expect(report).toMatchObject({ status: "failed", error: { sqlstate: "55006" }, applied: [] });
    expect(await database.sql("select to_regclass('parents') as parents")).toEqual([
      { parents: null },
    ]);
  });
});

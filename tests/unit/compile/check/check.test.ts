import { describe, expect, test } from "vitest";
import { findingsOf } from "../../../../lib/bundle/finding.ts";
import { isAllowed } from "../../../../lib/compile/check/check.ts";
import { checkAll } from "../../../setup/check-all.ts";
import { makeMigration } from "../../../setup/make-migration.ts";

/** Each text is a migration; the findings of all of them as `migration:line:column rule`. */
function found(...texts: readonly string[]): readonly string[] {
  const migrations = texts.map((text, index) => makeMigration(`000${index}`, index, text));
  return checkAll(migrations).flatMap((findings, index) =>
    findings.map(({ rule, line, column }) => `${index}:${line}:${column} ${rule}`),
  );
}

const CREATE = 'create table "t" ("a" integer, "b" text);';
const INDEX = 'create index "t_a" on "t" ("a");';

describe("startCheck", () => {
  test("finds nothing about the locks of a table that is new in the same file", () => {
    expect(
      found(`${CREATE}\n${INDEX}\nalter table "t" alter "a" type bigint, alter "a" set not null;`),
    ).toEqual([]);
  });

  test("finds the same about a table of an earlier file, and says which one creates it", () => {
    const migrations = [CREATE, INDEX].map((text, index) =>
      makeMigration(`000${index}`, index, text),
    );

    const findings = checkAll(migrations);

    expect(findings[1]).toMatchObject([{ rule: "index-not-concurrent", createdIn: "0000" }]);
  });

  test("takes a table for new that was renamed or moved since it was created in the same file", () => {
    expect(
      found(
        `${CREATE} alter table "t" rename to "u"; alter table "u" set schema "s"; create index on "s"."u" ("a");`,
      ),
    ).toEqual([]);
  });

  test("takes a table for old again once it was dropped and is used by that name", () => {
    expect(found(`${CREATE}\ndrop table "t";\n${INDEX}`)).toEqual(["0:3:1 index-not-concurrent"]);
  });

  test("takes a name with and without the schema public for the same", () => {
    expect(found(`${CREATE} create index on "public"."t" ("a");`)).toEqual([]);
  });

  test("takes a table for old that IF NOT EXISTS leaves alone", () => {
    expect(found(CREATE, `${CREATE.replace("table", "table if not exists")}\n${INDEX}`)).toEqual([
      "1:2:1 index-not-concurrent",
    ]);
  });

  test("takes a materialized view for new in its file, and for gone once it is dropped", () => {
    const view = "create materialized view m as select 1 as a;\ncreate index on m (a);";

    expect(found(`${view}\ndrop materialized view m;\ncreate index on m (a);`)).toEqual([
      "0:4:1 index-not-concurrent",
    ]);
  });

  test("knows that a temporary table hides another one, up to the end of its file", () => {
    const temporary = 'create temp table "t" ("a" integer);';

    expect(found(CREATE, `${temporary}\n${INDEX}`, INDEX)).toEqual(["2:1:1 index-not-concurrent"]);
    expect(found(`${CREATE} ${temporary} drop table "t"; ${INDEX}`)).toEqual([]);
  });

  test("follows the tables of a schema that is renamed, and forgets those of one that is dropped", () => {
    const create = 'create schema "s"; create table "s"."t" ("a" integer);';

    expect(
      found(`${create} alter schema "s" rename to "r"; create index on "r"."t" ("a");`),
    ).toEqual([]);
    expect(found(`${create} drop schema "s" cascade;\ncreate index on "s"."t" ("a");`)).toEqual([
      "0:2:1 index-not-concurrent",
    ]);
  });

  test("points to the clause, whatever characters stand before it", () => {
    expect(
      found(`select 'é☃😀';\nalter table "t😀" add column "é" text,\n  add check ("x" > 0);`),
    ).toEqual(["0:3:7 check-without-not-valid"]);
  });

  test("tells what is committed apart from what shares a transaction", () => {
    const add = `alter table "t" add constraint "c" check ("a" > 0) not valid;`;
    const validate = `alter table "t" validate constraint "c";`;

    expect(found(`${add}\n${validate}`)).toEqual(["0:2:1 validated-in-same-transaction"]);
    expect(found(`${add}\ncommit;\n${validate}`)).toEqual(["0:2:1 transaction-control"]);
    expect(found(add, validate)).toEqual([]);
  });

  test.each([
    ['"a" varchar(20)', "varchar(30)", false],
    ['"a" varchar(20)', "text", false],
    ['"a" varchar(20)', "varchar(10)", true],
    ['"a" text', "varchar(10)", true],
    ['"a" numeric(10, 2)', "numeric(12, 2)", false],
    ['"a" numeric(10, 2)', "numeric(12, 4)", true],
    ['"a" timestamp(3)', "timestamp", false],
    ['"a" char(3)', "text", true],
    ['"a" integer', "bigint", true],
    ['"a" text[]', "text", true],
  ])("knows of a column %s whether a change to %s rewrites: %s", (column, type, rewrites) => {
    const changes = found(
      `create table "t" (${column});`,
      `alter table "t" alter "a" type ${type};`,
    );

    expect(changes.some((each) => each.endsWith("column-type-changed"))).toBe(rewrites);
  });

  test.each([
    ["now()", null],
    ["'x'", null],
    ["current_timestamp", null],
    ["lower('A')", null],
    ["clock_timestamp()", "error"],
    ["coalesce(null, random()::text)", "error"],
    ["my_id()", "warning"],
    ["app.now()", "warning"],
  ])("grades the default %s by what it may do: %s", (expression, severity) => {
    const [findings] = checkAll([
      makeMigration("0000", 0, `alter table "t" add column "c" text default ${expression};`),
    ]);

    expect(findings?.map((each) => each.severity)).toEqual(severity === null ? [] : [severity]);
  });

  test.each([
    [
      'alter table "t" add unique nulls not distinct ("a") include ("b") deferrable initially deferred;',
      'CREATE UNIQUE INDEX CONCURRENTLY "t_a_key" ON "t" ("a") INCLUDE ("b") NULLS NOT DISTINCT;\nALTER TABLE "t" ADD CONSTRAINT "t_a_key" UNIQUE USING INDEX "t_a_key" DEFERRABLE INITIALLY DEFERRED;',
    ],
    [
      'alter table "t" add "c" integer default 1 constraint "positive" check (("c") > 0) references "u" ("id") on delete set null;',
      '-- neon-migrate: no-transaction\nALTER TABLE "t" ADD COLUMN "c" integer default 1;\nALTER TABLE "t" ADD CONSTRAINT "positive" check (("c") > 0) NOT VALID;\nALTER TABLE "t" VALIDATE CONSTRAINT "positive";',
    ],
    [
      'alter table "t" add "c" integer default 1 constraint "positive" check (("c") > 0) references "u" ("id") on delete set null;',
      '-- neon-migrate: no-transaction\n-- Behind the statement that adds "c":\nALTER TABLE "t" ADD CONSTRAINT "t_c_fkey" FOREIGN KEY ("c") references "u" ("id") on delete set null NOT VALID;\nALTER TABLE "t" VALIDATE CONSTRAINT "t_c_fkey";',
    ],
    [
      'alter table "s"."t" add "c" integer unique;',
      'ALTER TABLE "s"."t" ADD COLUMN "c" integer;\nCREATE UNIQUE INDEX CONCURRENTLY "t_c_key" ON "s"."t" ("c");\nALTER TABLE "s"."t" ADD CONSTRAINT "t_c_key" UNIQUE USING INDEX "t_c_key";',
    ],
  ])("keeps what %s says in the SQL that it proposes", (statement, rewrite) => {
    const made = makeMigration("0000", 0, 'create table "t" (); create table "s"."t" ();');
    const [, findings] = checkAll([made, makeMigration("0001", 1, statement)]);

    expect(findings?.map((each) => each.rewrite)).toContain(rewrite);
  });

  test.each([
    ["create index on t (a)", /ON ONLY it/],
    ["drop index t_a_idx", /DROP INDEX without it/],
    ["alter table t add unique (a)", /the constraint ON ONLY it/],
    ["alter table t add foreign key (a) references u", /for each partition, and then/],
  ])("says of %s what to do if its table is partitioned, where it cannot know", (sql, instead) => {
    const table = "create table t (a integer); create index t_a_idx on t (a);";
    const rewrites = ["select 1;", table].map((before) => {
      const [, findings] = checkAll([
        makeMigration("0000", 0, before),
        makeMigration("0001", 1, sql),
      ]);
      return findings?.[0]?.rewrite;
    });

    expect(rewrites[0]).toMatch(
      /\n-- If the table is partitioned, PostgreSQL refuses this\. Then: /,
    );
    expect(rewrites[0]).toMatch(instead);
    expect(rewrites[1]).not.toContain("If the table is partitioned");
  });

  test("knows that a partitioned table takes its index on its partitions", () => {
    const create = 'create table "p" ("a" integer) partition by range ("a");';
    const [, findings] = checkAll([
      makeMigration("0000", 0, create),
      makeMigration("0001", 1, 'create index "i" on "p" ("a");'),
    ]);

    expect(findings).toMatchObject([
      { rewrite: expect.stringMatching(/^create index "i" ON ONLY "p" \("a"\);/) },
    ]);
    expect(found(create, 'create index "i" on only "p" ("a");')).toEqual([]);
  });

  test("follows the values of an enum that are renamed", () => {
    const swap = `drop type "e"; create type "e" as enum ('b');`;

    expect(
      found(`create type "e" as enum ('a');`, `alter type "e" rename value 'a' to 'b';`, swap),
    ).toEqual(["2:1:16 enum-value-removed"]);
  });

  test("has something to say, or nothing, whatever the statement is", () => {
    const odd = [
      "cluster",
      "vacuum full",
      "vacuum (full off) t",
      "vacuum (full, analyze) a, b",
      "reindex system s",
      "reindex (concurrently) index i",
      "alter table only t add check (a > 0)",
      "alter table if exists t drop if exists a cascade",
      "alter view v rename column a to b",
      "alter table t add primary key (a, b), add foreign key (a, b) references u",
      "truncate only t restart identity cascade",
      "drop table if exists a.b.c, d cascade",
      "drop schema if exists s cascade",
      "drop type t",
      "drop function f()",
      "alter type t rename attribute a to b",
      "alter domain d add constraint c check (value > 0) not valid",
      "lock table t",
      "lock t in share mode",
      "alter table t set schema s",
      "alter sequence s set schema t",
      "update t set (a, b) = (null, null)",
      "with x as (delete from t returning *) select * from x",
      "delete from t using u",
      "merge into t using u on true when matched then delete",
      "create table if not exists t as table u",
      "select 1 into t",
      "create temp table t (id serial)",
      "create foreign table t (a money) server s",
      "create table t of type_t",
      "create table p partition of t default",
      "alter table t attach partition p default",
      "alter table t detach partition p concurrently",
      "alter table t add column a serial, add b int generated always as identity",
      "alter table t alter a type e using a::text::e, alter b drop default, alter c add generated always as identity",
      "alter table t rename constraint a to b",
      "alter index i rename to j",
      "create extension if not exists postgis with schema s cascade",
      "do $$ begin end $$",
      "create policy p on t",
      "alter type t add value if not exists 'x' before 'y'",
      "savepoint a",
      "commit and chain",
      "comment on table t is 'x'",
    ];
    for (const statement of odd) {
      for (const { rewrite, message } of checkAll([makeMigration("0000", 0, statement)])[0] ?? []) {
        expect(message).not.toMatch(/undefined|null\b(?! in)|\[object/);
        expect(rewrite).not.toMatch(/undefined|\[object/);
      }
    }
  });

  test("leaves what it has no rule for unread, however large", () => {
    const rows = Array.from({ length: 20_000 }, (_row, index) => `(${index})`).join(", ");

    expect(found(`insert into "t" values ${rows};`)).toEqual([]);
  });

  test("does not repeat a statement of megabytes", () => {
    const text = `alter table "t" add check ("a" in ('${"x".repeat(50_000)}'));`;
    const [findings] = checkAll([makeMigration("0000", 0, text)]);

    expect(findings).toHaveLength(1);
    expect(findings?.[0]?.rewrite.length).toBeLessThan(200);
  });

  test("takes linear time for a migration of thousands of statements", () => {
    const text = (count: number) =>
      Array.from({ length: count }, (_each, index) => `alter table "t" add "c${index}" text;`).join(
        "\n",
      );
    const looks = (count: number) => {
      const migration = makeMigration("0000", 0, text(count));
      let seen = 0;
      const statements = new Proxy(migration.statements, {
        get: (target, key) => {
          if (/^\d+$/.test(String(key))) seen += 1;
          return Reflect.get(target, key);
        },
      });
      checkAll([{ ...migration, statements }]);
      return seen;
    };

    // Each statement is looked at as often as in a short migration.
    expect(looks(2_000)).toBe(4 * looks(500));
    expect(looks(500)).toBeGreaterThanOrEqual(500);
  });
});

describe("findingsOf", () => {
  test("leaves out what is about a table that is created by the same deployment", () => {
    const plain = [CREATE, INDEX].map((text, index) => makeMigration(`000${index}`, index, text));
    const findings = checkAll(plain);
    const [first, second] = plain.map((each, index) => ({
      ...each,
      findings: findings[index] ?? [],
    }));
    if (first === undefined || second === undefined) throw new Error("two migrations were made");

    expect(findingsOf([first, second])).toEqual([]);
    expect(findingsOf([second]).map(({ finding }) => finding.rule)).toEqual([
      "index-not-concurrent",
    ]);
  });
});

describe("isAllowed", () => {
  const migration = makeMigration("0000", 0, INDEX);
  const [statement] = migration.statements;
  if (statement === undefined) throw new Error("one statement was made");
  const directives = { allow: ["index-not-concurrent"] } as const;

  test("lets a rule be broken where a directive says so, for a statement or a whole file", () => {
    expect(isAllowed("index-not-concurrent", migration, statement)).toBe(false);
    expect(isAllowed("index-not-concurrent", { ...migration, directives }, statement)).toBe(true);
    expect(isAllowed("index-not-concurrent", migration, { ...statement, directives })).toBe(true);
    expect(isAllowed("serial", { ...migration, directives }, statement)).toBe(false);
  });
});

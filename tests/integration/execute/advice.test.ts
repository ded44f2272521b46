import pc from "picocolors";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { forCommand } from "../../../bin/render/in-flags.ts";
import { renderReport } from "../../../bin/render/report.ts";
import { reasonOf } from "../../../lib/events/summary.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { createTestTarget, run, type TestTarget } from "../../setup/run.ts";

let at: TestTarget;
beforeAll(async () => {
  at = await createTestTarget();
});
afterEach(async () => {
  await at.database.sql("drop schema public cascade; drop schema if exists drizzle cascade");
  await at.database.sql(`create schema public authorization "${at.database.owner.name}"`);
});
afterAll(() => at.database.close());

/**
 * The error of a migration of these statements on a database that was made with this SQL. The command line shows advice and
 * query; a deployment's reason has the advice, and no query, which may quote data.
 */
async function errorOf(before: string, statements: readonly string[], request: object = {}) {
  if (before !== "") await at.database.sqlAsOwner(before);
  const bundle = makeBundle(makeMigration("0000_m", 1_000, ...statements));
  const report = await run(at.target, bundle, request);
  const { advice = null, query = null } = report.error ?? {};
  const colors = pc.createColors(false);
  const text = renderReport(report, { action: "up", folder: "drizzle", bundle, colors });
  const reason = reasonOf(report, lambdaContext(), 4_000);
  expect(text).toContain(forCommand(advice ?? "", true));
  expect(reason).toContain(advice ?? "");
  if (query !== null) {
    expect(text).toContain(`\n    ${query}\n`);
    expect(reason).not.toContain(query);
  }
  return report.error;
}

interface Case {
  readonly before: string;
  readonly statements: readonly string[];
  readonly sqlstate: string;
  /** The rows that the query finds, as JSON. */
  readonly rows: readonly string[];
  /** The version of the server that can tell all of them. Default: each. */
  readonly since?: number;
}

const ORGS = `create table orgs (id int, name text, active bool);
  insert into orgs values (1, 'Acme', true), (2, 'Acme', true), (3, 'Bolt', true), (4, null, true), (5, null, true), (6, 'Bolt', false)`;
const ORDERS = `create table orgs (id int primary key, n int, unique (id, n)); insert into orgs values (1, 1);
  create table orders ("id" int, "orgId" int, n int); insert into orders values (1, 1, 1), (2, 7, 1), (3, null, 1), (4, 8, null)`;
const AGES = `create table users (id int, age text, score bigint);
  insert into users values (1, '17', 1), (2, 'o''ld', 99999), (3, null, 3), (4, 'seventeen', 4)`;

const CASES: Readonly<Record<string, Case>> = {
  "a unique index": {
    before: ORGS,
    statements: ["create unique index u on orgs (name) where active"],
    sqlstate: "23505",
    rows: ['{"name":"Acme","count":"2"}'],
  },
  "a unique index of an expression and a column, built concurrently": {
    before: ORGS,
    statements: ["create unique index concurrently u on orgs (lower(name), active)"],
    sqlstate: "23505",
    rows: ['{"lower":"acme","active":true,"count":"2"}'],
  },
  "a unique index that takes nulls for equal": {
    since: 15,
    before: ORGS,
    statements: ["create unique index u on orgs (name) nulls not distinct where name is null"],
    sqlstate: "23505",
    rows: ['{"name":null,"count":"2"}'],
  },
  "a unique constraint behind a comment": {
    before: ORGS,
    statements: ["-- where (\nalter table orgs add constraint u unique (active, name)"],
    sqlstate: "23505",
    rows: ['{"active":true,"name":"Acme","count":"2"}'],
  },
  "a primary key over nulls": {
    before: `${ORGS}; delete from orgs where name is not null and id <> 3`,
    statements: ["alter table orgs add primary key (name)"],
    sqlstate: "23502",
    rows: ['{"id":4,"name":null,"active":true}', '{"id":5,"name":null,"active":true}'],
  },
  "a row that is there already": {
    before: "create table t (a int, b text, primary key (a, b)); insert into t values (1, 'x, y')",
    statements: ["insert into t values (1, 'x, y')"],
    sqlstate: "23505",
    rows: ['{"a":1,"b":"x, y"}'],
  },
  "a column that may not be null": {
    before: `create table "Odd""Name" ("e Mail" text); insert into "Odd""Name" values (null), ('a')`,
    statements: [`alter table "Odd""Name" alter "e Mail" set not null`],
    sqlstate: "23502",
    rows: ['{"e Mail":null}'],
  },
  "a foreign key": {
    before: ORDERS,
    statements: [
      `ALTER TABLE "orders" ADD CONSTRAINT "orders_fk" FOREIGN KEY ("orgId") REFERENCES "public"."orgs"("id") ON DELETE no action`,
    ],
    sqlstate: "23503",
    rows: ['{"id":2,"orgId":7,"n":1}', '{"id":4,"orgId":8,"n":null}'],
  },
  "a foreign key of two columns": {
    before: ORDERS,
    statements: ['alter table orders add foreign key ("orgId", n) references orgs (id, n)'],
    sqlstate: "23503",
    rows: ['{"id":2,"orgId":7,"n":1}'],
  },
  "a foreign key that names no column": {
    before: ORDERS,
    statements: ['alter table orders add foreign key ("orgId") references orgs'],
    sqlstate: "23503",
    rows: ['{"id":2,"orgId":7,"n":1}'],
  },
  "a foreign key that was not valid": {
    before: `${ORDERS}; alter table orders add constraint fk foreign key ("orgId") references orgs not valid`,
    statements: ["alter table orders validate constraint fk"],
    sqlstate: "23503",
    rows: ['{"id":2,"orgId":7,"n":1}', '{"id":4,"orgId":8,"n":null}'],
  },
  "a row that others refer to": {
    before: `${ORDERS}; delete from orders where id in (2, 4); alter table orders add foreign key ("orgId") references orgs`,
    statements: ["delete from orgs where id = 1"],
    sqlstate: "23503",
    rows: ['{"id":1,"orgId":1,"n":1}'],
  },
  "a check": {
    before: AGES,
    statements: [
      "alter table users add constraint other check (id > 0), add constraint few check (score < (10 * 10) and coalesce(age, ')') <> 'seventeen')",
    ],
    sqlstate: "23514",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}', '{"id":4,"age":"seventeen","score":"4"}'],
  },
  "a check that was not valid": {
    before: `${AGES}; alter table users add constraint few check (score < 5) not valid`,
    statements: ["alter table users validate constraint few"],
    sqlstate: "23514",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}'],
  },
  "a check that is made anew under its name": {
    before: `${AGES}; alter table users add constraint few check (score > 0)`,
    statements: [
      "alter table users drop constraint few",
      "alter table users add constraint few check (score < 5)",
    ],
    sqlstate: "23514",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}'],
  },
  "an exclusion": {
    before: "create table t (span int4range); insert into t values ('[1,5)'), ('[3,8)'), ('[9,9]')",
    statements: ["alter table t add exclude using gist (span with &&)"],
    sqlstate: "23P01",
    rows: ['{"span":"[1,5)"}', '{"span":"[3,8)"}'],
  },
  "texts that are no numbers": {
    since: 16,
    before: AGES,
    statements: [
      'ALTER TABLE "users" ALTER COLUMN "age" SET DATA TYPE integer USING "age"::integer',
    ],
    sqlstate: "22P02",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}', '{"id":4,"age":"seventeen","score":"4"}'],
  },
  "texts that are too long": {
    before: AGES,
    statements: ["alter table users alter age type varchar(4)"],
    sqlstate: "22001",
    rows: ['{"id":4,"age":"seventeen","score":"4"}'],
  },
  "numbers that are too large": {
    since: 16,
    before: AGES,
    statements: ["alter table only public.users alter column score type smallint;"],
    sqlstate: "22003",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}'],
  },
  "two columns that change at once": {
    since: 16,
    before: AGES,
    statements: [
      "alter table users alter score type numeric(4, 0), alter age set data type int using (nullif(age, ','))::int",
    ],
    sqlstate: "22003",
    rows: ['{"id":2,"age":"o\'ld","score":"99999"}', '{"id":4,"age":"seventeen","score":"4"}'],
  },
  "texts that are no dates": {
    before: "create table t (d text); insert into t values ('2026-01-31'), ('2026-02-31')",
    statements: ["alter table t alter d type date using (trim(d))::date"],
    sqlstate: "22008",
    rows: ['{"d":"2026-02-31"}'],
  },
  "a value that an enum loses": {
    before:
      "create type mood as enum ('ok', 'it''s'); create table t (m mood); insert into t values ('ok'), ('it''s')",
    statements: [
      "alter table t alter column m set data type text",
      "drop type mood",
      "create type mood as enum ('ok')",
      "alter table t alter column m set data type mood using m::mood",
    ],
    sqlstate: "22P02",
    rows: ['{"m":"it\'s"}'],
  },
};

const HERE = Object.entries(CASES).filter(([, { since = 0 }]) => since <= inject("postgresMajor"));

describe("the query finds the rows that contradict", () => {
  test.for(HERE)("%s", async ([_name, each]) => {
    const error = await errorOf(each.before, each.statements);

    expect(error).toMatchObject({ sqlstate: each.sqlstate, query: expect.any(String) });
    const rows = await at.database.sql(error?.query ?? "");
    expect(rows.map((row) => JSON.stringify(row)).toSorted()).toEqual(each.rows);
    expect(error?.advice).toMatch(/the query shows/);
    expect(error?.advice).not.toMatch(/Correct the statement, then/);
  });

  test.for<[string, string, readonly string[]]>([
    [
      "a table of the same migration",
      "",
      ["create table t (a int)", "insert into t values (1), (1)", "create unique index u on t (a)"],
    ],
    [
      "a column of the same migration",
      "create table t (a int); insert into t values (1), (2)",
      ["alter table t add column b text not null default '' unique"],
    ],
    [
      "rows that the statement itself writes",
      ORDERS,
      ["insert into orgs values (2, null), (2, 1)"],
    ],
  ])("and is left out where there is nothing to find: %s", async ([_name, before, statements]) => {
    const error = await errorOf(before, statements);

    const rows = error?.query == null ? [] : await at.database.sql(error.query);
    expect(rows).toEqual([]);
    expect(error?.sqlstate).toBe("23505");
    expect(error?.advice).toMatch(/then run again/);
  });
});

const T = "create table t (a int); insert into t values (1)";

/** SQLSTATE, what was before, the statements, and words of the advice. */
const ADVICE: readonly (readonly [string, string, readonly string[], RegExp])[] = [
  // the data
  ["23502", T, ["alter table t add column b int not null"], /comes with this migration.*DEFAULT/],
  ["23502", "create table t (a int not null)", ["insert into t values (null)"], /does not fit/],
  [
    "23503",
    ORDERS,
    ["create table c (o int references orgs)", "insert into c values (9)"],
    /Write that row first/,
  ],
  ["22P02", T, ["insert into t values ('x')"], /^Correct the statement/],
  ["22012", T, ["update t set a = 1 / (a - a)"], /does not fit/],
  // there already
  [
    "42P07",
    T,
    ["create table other ()", "create table t (a int)"],
    /drizzle-kit push.*baseline --to 0000_m/,
  ],
  ["42710", "create type m as enum ('a')", ["create type m as enum ('a')"], /baseline --to 0000_m/],
  ["42701", T, ["alter table t add column a int"], /IF NOT EXISTS/],
  ["42P06", "", ["create schema public"], /baseline/],
  [
    "42723",
    "create function f() returns int language sql as 'select 1'",
    ["create function f() returns int language sql as 'select 1'"],
    /baseline/,
  ],
  // not there
  ["42P01", "", ["alter table t add column b int"], /table or view is not there/],
  ["42703", T, ["alter table t drop column b"], /No object has this name/],
  ["42704", T, ["drop type mood"], /No object has this name/],
  ["42883", T, ["select nothing_like_it(1)"], /No object has this name/],
  ["3F000", "", ["create table nowhere.t ()"], /schema is not there/],
  ["42704", T, ["grant select on t to nobody_like_it"], /role is not there/],
  ["42704", "", ["create table v (e vector(3))"], /create extension if not exists vector"/],
  [
    "42704",
    "create table t (a text)",
    ["create index i on t using gin (a gin_trgm_ops)"],
    /pg_trgm/,
  ],
  ["42883", "", ["select uuid_generate_v4()"], /"uuid-ossp"/],
  [
    // PostgreSQL 14 has only the missing file to say.
    inject("postgresMajor") < 15 ? "58P01" : "0A000",
    "",
    ["create extension nothing_like_it"],
    inject("postgresMajor") < 15 ? /./ : /pg_available_extensions/,
  ],
  // others, and time
  ["57014", "", ["set statement_timeout = '50ms'", "select pg_sleep(60)"], /statement_timeout = 0/],
  [
    "55006",
    T,
    [
      "do $$ declare r record; begin for r in select * from t loop execute 'alter table t add b int'; end loop; end $$",
    ],
    /open cursor/,
  ],
  // rights
  ["42501", "", ["create role somebody_like_it"], /lacks a right/],
  // the statement
  ["42601", "", ["selec 1"], /^Correct the statement, then run again\.$/],
  ["42804", T, ["alter table t alter a type bool"], /^Correct the statement/],
  ["2BP01", `${T}; create view v as select * from t`, ["drop table t"], /CASCADE/],
  ["P0001", "", ["do $$ begin raise 'Not on a Friday'; end $$"], /raised this/],
];

describe("the advice fits the cause", () => {
  test.for(ADVICE)("%s: %s; %o", async ([sqlstate, before, statements, words]) => {
    const error = await errorOf(before, statements);

    expect(error).toMatchObject({ sqlstate });
    expect(error?.advice).toMatch(words);
  });

  test("of a table that belongs to another role", async () => {
    await at.database.sql("create table public.theirs (a int)");

    const error = await errorOf("", ["alter table theirs add column b int"]);

    expect(error).toMatchObject({ sqlstate: "42501" });
    expect(error?.advice).toMatch(/Only the owner may do this/);
  });

  test("of a statement that makes transactions read-only, in the message", async () => {
    const error = await errorOf(T, ["set transaction read only", "insert into t values (2)"]);

    expect(error).toMatchObject({ sqlstate: "25006", advice: null });
    expect(error?.message).toMatch(/Statement 1 \(line 1\) has made .* Take that out/);
  });

  test("of a transaction with too many locks, in the words of a server that has no room for more", async () => {
    // A server that is really full would refuse the tests beside this one, too.
    const error = await errorOf("", [
      `do $$ begin raise exception 'out of shared memory' using errcode = '53200',
         hint = 'You might need to increase "max_locks_per_transaction".'; end $$`,
    ]);

    expect(error).toMatchObject({ sqlstate: "53200" });
    expect(error?.advice).toMatch(/"transaction": "each"/);
  });

  test("of a constraint that waits for the COMMIT", async () => {
    const error = await errorOf(
      "create table p (id int primary key); create table t (p int references p deferrable initially deferred)",
      ["insert into p values (1)", "insert into t values (1)", "alter table t add b int"],
      { transaction: "all" },
    );

    expect(error).toMatchObject({ sqlstate: "55006" });
    expect(error?.advice).toMatch(/set constraints all immediate/);
  });
});

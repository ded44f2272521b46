import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { RULE_IDS, type RuleId } from "../../../../lib/bundle/rule-ids.ts";
import { loadParser, parseRanges } from "../../../../lib/compile/sql/parser.ts";
import { checkAll } from "../../../setup/check-all.ts";
import { createTestDatabase, type TestDatabase } from "../../../setup/database.ts";
import { makeMigration } from "../../../setup/make-migration.ts";

const SETUP = `
  drop schema public cascade; create schema public; drop schema if exists billing cascade; create schema billing;
  create extension btree_gist;
  create type order_status as enum ('open', 'paid');
  create table accounts (id uuid primary key, email text);
  create table orders (id integer primary key, created_at timestamptz, account_id uuid, total numeric, net numeric,
    legacy_total numeric not null, note text, status order_status, title varchar(50));
  create table bookings (room integer, during tstzrange);
  create table legacy_orders (); create table sessions (expires_at timestamptz); create table tokens ();
  create table customer_subscriptions (id integer primary key);
  create table customer_subscription_items (subscription_id integer);
  insert into accounts select gen_random_uuid(), n::text from generate_series(1, 3) n;
  insert into orders select n, now(), (select id from accounts limit 1), n, n, n, 'x', 'open', 'x' from generate_series(1, 3) n;
`;

/** What must be there before a rule's rewrite makes sense. */
const BEFORE: Partial<Record<RuleId, string>> = {
  "index-dropped-not-concurrent": 'create index "orders_created_at_idx" on orders (created_at)',
  "validated-in-same-transaction":
    'alter table orders add constraint "orders_total_positive" check (total > 0) not valid',
  "required-column-without-default": "delete from orders",
  "volatile-default": "delete from orders",
  "backfill-with-ddl": "alter table orders add column currency text",
};

/** The rows of a table that are written with what the server knows. */
function known<Row extends readonly [string, unknown]>(rows: readonly Row[]): readonly Row[] {
  const major = inject("postgresMajor");
  return rows
    .filter(([text]) => major >= 15 || !text.includes("nulls not distinct"))
    .filter(([text]) => major >= 18 || !text.endsWith("virtual"));
}

/** Needs an extension that the test server does not have, or is written for PostgreSQL 18, as its comment says. */
const ELSEWHERE: readonly RuleId[] = [
  "extension-not-on-neon",
  ...(inject("postgresMajor") < 18 ? (["stored-generated-column"] as const) : []),
];

await loadParser();

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql(`alter schema public owner to ${database.owner.name}`);
});

afterAll(() => database.close());

function rewritesOf(rule: RuleId): readonly string[] {
  const texts = readFileSync(`tests/fixtures/rules/${rule}/fail.sql`, "utf8");
  const migrations = texts
    .split("-- the next migration\n")
    .map((text, index) => makeMigration(`000${index}`, index, text));
  const findings = checkAll(migrations).at(-1) ?? [];
  return findings.filter((finding) => finding.rule === rule).map(({ rewrite }) => rewrite);
}

describe("what a rule proposes instead", () => {
  test.each(RULE_IDS.filter((rule) => !ELSEWHERE.includes(rule)))("runs: %s", async (rule) => {
    await database.sqlAsOwner(SETUP);
    await database.sqlAsOwner(BEFORE[rule] ?? "select");

    for (const rewrite of rewritesOf(rule)) {
      const text = parseRanges(rewrite).ok ? rewrite : `create table made (${rewrite})`;
      const parsed = parseRanges(text);
      if (!parsed.ok) throw new Error(parsed.message);
      for (const { start, end } of parsed.ranges) await database.sqlAsOwner(text.slice(start, end));
    }
  });
});

const PARTITIONED = `
  drop schema public cascade; create schema public;
  create table other (id integer primary key);
  create table m (id integer not null, at date not null, v integer, w text) partition by range (at);
  create table m1 partition of m for values from ('2026-01-01') to ('2027-01-01');
  create index m_v_idx on m (v);
  create table plain (id integer not null, v integer, w text);
`;

/** Runs the rewrites of a statement on the tables that earlier migrations made, and returns the definitions they leave. */
async function definitionsAfter(statement: string): Promise<readonly unknown[]> {
  await database.sqlAsOwner(PARTITIONED);
  const made = PARTITIONED.slice(PARTITIONED.indexOf("create table other"));
  const [, findings = []] = checkAll([
    makeMigration("0000", 0, made),
    makeMigration("0001", 1, statement),
  ]);
  expect(findings).not.toEqual([]);
  const inOrder = [...findings].sort((one, other) => one.column - other.column);
  for (const { rewrite } of inOrder) {
    const parsed = parseRanges(rewrite);
    if (!parsed.ok) throw new Error(`${parsed.message}: ${rewrite}`);
    for (const { start, end } of parsed.ranges)
      await database.sqlAsOwner(rewrite.slice(start, end));
  }
  const rows = await database.sqlAsOwner(`
    select indexdef as def from pg_indexes where tablename in ('m', 'plain')
    union select pg_get_constraintdef(oid) from pg_constraint
      where conrelid in ('m'::regclass, 'plain'::regclass) and contype <> 'n' order by 1
  `);
  return rows.map(({ def }) => def);
}

const M_V_IDX = "CREATE INDEX m_v_idx ON ONLY public.m USING btree (v)";

describe("what a rule proposes instead loses nothing", () => {
  test.each(
    known<[string, string[]]>([
      ["create index m_w_idx on m (w)", ["CREATE INDEX m_w_idx ON ONLY public.m USING btree (w)"]],
      [
        "create unique index on m (id desc, at)",
        ["CREATE UNIQUE INDEX m_id_at_idx ON ONLY public.m USING btree (id DESC, at)"],
      ],
      [
        "alter table m add constraint k unique nulls not distinct (v, at) include (w)",
        [
          "CREATE UNIQUE INDEX k ON ONLY public.m USING btree (v, at) INCLUDE (w) NULLS NOT DISTINCT",
          "UNIQUE NULLS NOT DISTINCT (v, at) INCLUDE (w)",
        ],
      ],
      [
        "alter table m add foreign key (v) references other on delete cascade",
        ["FOREIGN KEY (v) REFERENCES other(id) ON DELETE CASCADE"],
      ],
      [
        "alter table m add column x integer default 1 references other",
        ["FOREIGN KEY (x) REFERENCES other(id)"],
      ],
      ["alter table m add check (v > 0)", ["CHECK ((v > 0))"]],
      [
        "alter table m add primary key (id, at) deferrable",
        [
          "CREATE UNIQUE INDEX m_pkey ON ONLY public.m USING btree (id, at)",
          "PRIMARY KEY (id, at) DEFERRABLE",
        ],
      ],
    ]),
  )("on a partitioned table: %s", async (statement, expected) => {
    expect(await definitionsAfter(statement)).toEqual([M_V_IDX, ...expected].sort());
  });

  test.each(["drop index m_v_idx", "drop index if exists public.m_v_idx"])(
    "on a partitioned table: %s",
    async (statement) => {
      expect(await definitionsAfter(statement)).toEqual([]);
    },
  );

  test.each(
    known<[string, string[]]>([
      [
        "alter table plain add constraint k unique (v) with (fillfactor = 70)",
        [
          "CREATE UNIQUE INDEX k ON public.plain USING btree (v) WITH (fillfactor='70')",
          "UNIQUE (v)",
        ],
      ],
      [
        "alter table plain add column x integer unique nulls not distinct references other",
        [
          "CREATE UNIQUE INDEX plain_x_key ON public.plain USING btree (x) NULLS NOT DISTINCT",
          "FOREIGN KEY (x) REFERENCES other(id)",
          "UNIQUE NULLS NOT DISTINCT (x)",
        ],
      ],
      [
        "alter table plain add column unique_x integer default 1 constraint u unique check (unique_x > 0) references other not null, drop column w",
        [
          "CHECK ((unique_x > 0))",
          "CREATE UNIQUE INDEX u ON public.plain USING btree (unique_x)",
          "FOREIGN KEY (unique_x) REFERENCES other(id)",
          "UNIQUE (unique_x)",
        ],
      ],
      [
        "alter table plain add column x integer unique, add column y integer check (y > 0) unique",
        [
          "CHECK ((y > 0))",
          "CREATE UNIQUE INDEX plain_x_key ON public.plain USING btree (x)",
          "CREATE UNIQUE INDEX plain_y_key ON public.plain USING btree (y)",
          "UNIQUE (x)",
          "UNIQUE (y)",
        ],
      ],
      [
        "alter table plain add column x integer check (x > 0), add constraint k unique (x, v), add foreign key (x) references other",
        [
          "CHECK ((x > 0))",
          "CREATE UNIQUE INDEX k ON public.plain USING btree (x, v)",
          "FOREIGN KEY (x) REFERENCES other(id)",
          "UNIQUE (x, v)",
        ],
      ],
      [
        'alter table plain add column x text collate "C" unique deferrable initially deferred',
        [
          "CREATE UNIQUE INDEX plain_x_key ON public.plain USING btree (x)",
          "UNIQUE (x) DEFERRABLE INITIALLY DEFERRED",
        ],
      ],
    ]),
  )("on a plain table: %s", async (statement, expected) => {
    expect(await definitionsAfter(statement)).toEqual([M_V_IDX, ...expected].sort());
  });
});

describe("what a rule proposes instead of a new column keeps all that the column says", () => {
  test.each([
    ["integer not null references other", ["FOREIGN KEY (x) REFERENCES other(id)", "NOT NULL x"]],
    [
      "integer constraint needed not null constraint one references other on delete cascade unique",
      ["FOREIGN KEY (x) REFERENCES other(id) ON DELETE CASCADE", "NOT NULL x", "UNIQUE (x)"],
    ],
    [
      "text not null collate \"C\" check (x <> 'not null')",
      ["CHECK ((x <> 'not null'::text))", "NOT NULL x"],
    ],
    [
      "integer primary key references other",
      ["FOREIGN KEY (x) REFERENCES other(id)", "NOT NULL x", "PRIMARY KEY (x)"],
    ],
    [
      "integer not null default (random() * 0)::integer + 1 references other check (x > 0)",
      ["CHECK ((x > 0))", "FOREIGN KEY (x) REFERENCES other(id)", "NOT NULL x"],
    ],
    ["serial check (x > 0)", ["CHECK ((x > 0))", "NOT NULL x"]],
    ["bigserial primary key", ["NOT NULL x", "PRIMARY KEY (x)"]],
    ["integer generated always as identity unique", ["NOT NULL x", "UNIQUE (x)"]],
  ])("x %s", async (column, expected) => {
    await database.sqlAsOwner(PARTITIONED);
    await database.sqlAsOwner("create table empty (y integer)");
    const made = PARTITIONED.slice(PARTITIONED.indexOf("create table other"));
    const [, findings = []] = checkAll([
      makeMigration("0000", 0, `${made} create table empty (y integer);`),
      makeMigration("0001", 1, `alter table empty add column x ${column}`),
    ]);
    const found = findings.find(({ rule }) =>
      ["required-column-without-default", "volatile-default"].includes(rule),
    );
    const parsed = parseRanges(found?.rewrite ?? "");
    if (!parsed.ok || found === undefined)
      throw new Error(`Nothing is proposed: ${found?.rewrite}`);
    for (const { start, end } of parsed.ranges) {
      await database.sqlAsOwner(found.rewrite.slice(start, end));
    }
    const rows = await database.sqlAsOwner(`
      select pg_get_constraintdef(oid) as def from pg_constraint
        where conrelid = 'empty'::regclass and contype <> 'n'
      union select 'NOT NULL ' || attname from pg_attribute
        where attrelid = 'empty'::regclass and attnotnull and attnum > 0 order by 1
    `);

    expect(rows.map(({ def }) => def)).toEqual(expected);
  });
});

test.each(
  known<[string, boolean]>([
    ["uuid default gen_random_uuid()", true],
    ["timestamptz default clock_timestamp()", true],
    ["serial", true],
    ["integer generated always as identity", true],
    ["numeric generated always as (net * 2) stored", true],
    ["numeric generated always as (net * 2) virtual", false],
    ["timestamptz default now()", false],
    ["text default 'x' not null", false],
    ["text default lower(current_user)", false],
    ["integer", false],
  ]),
)(
  "says as PostgreSQL does whether a new column %s rewrites its table: %s",
  async (column, rewrites) => {
    await database.sqlAsOwner(SETUP);
    const statement = `alter table orders add column added ${column}`;
    const file = () => database.sql("select pg_relation_filenode('orders') as file");
    const before = await file();

    const [findings] = checkAll([makeMigration("0000", 0, statement)]);
    await database.sqlAsOwner(statement);
    const after = await file();

    const said = findings?.some(({ rule }) =>
      ["volatile-default", "stored-generated-column"].includes(rule),
    );
    expect([said, JSON.stringify(after) !== JSON.stringify(before)]).toEqual([rewrites, rewrites]);
  },
);

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
  "backfill-with-ddl": "alter table orders add column currency text",
};

/** Needs an extension that the test server does not have. */
const ELSEWHERE: readonly RuleId[] = ["extension-not-on-neon"];

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

test.each([
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
])(
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

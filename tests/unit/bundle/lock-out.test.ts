import { describe, expect, test } from "vitest";
import { lockOutBy, surelyMade } from "../../../lib/bundle/lock-out.ts";
import { makeMigration } from "../../setup/make-migration.ts";

const NOTHING = { before: new Set<string>(), within: new Set<string>() };

function lockOf(statement: string, made = NOTHING) {
  return lockOutBy(makeMigration("0000_one", 1, statement), 0, made);
}

describe("lockOutBy", () => {
  test.each([
    ["alter table orders add column note text", "orders", "ACCESS EXCLUSIVE"],
    ["create index on orders (id)", "orders", "SHARE"],
    ["create table items (o int references orders)", "orders", "SHARE ROW EXCLUSIVE"],
    ["update orders set id = 1", "orders", "ROW EXCLUSIVE"],
    ["select from orders for update", "orders", "ROW SHARE"],
    ["with gone as (delete from orders returning id) select from gone", "orders", "ROW EXCLUSIVE"],
    ["drop index orders_id", "orders_id", "ACCESS EXCLUSIVE"],
    ["vacuum full orders", "orders", "ACCESS EXCLUSIVE"],
  ])("says which lock keeps others waiting: %s", (statement, relation, mode) => {
    expect(lockOf(statement)).toEqual({ relation, mode });
  });

  test.each([
    "create table items (id int)",
    "insert into orders values (1)",
    "create view recent as select from orders",
    "create index concurrently on orders (id)",
    "alter table orders validate constraint positive",
    "create type mood as enum ('sad')",
    "comment on table orders is 'of customers'",
    "set lock_timeout = 1",
    "vacuum orders",
    "vacuum",
  ])("takes no note of locks that let reads and writes go on: %s", (statement) => {
    expect(lockOf(statement)).toBeNull();
  });

  test.each([
    "do $$ begin end $$",
    "call refill()",
    "select refill()",
    "alter extension pg_trgm update",
    "reindex (verbose) schema public",
    "vacuum full",
  ])("takes every lock for possible where the text shows none: %s", (statement) => {
    expect(lockOf(statement)).toEqual({ relation: null, mode: null });
  });

  test("leaves out what the run has made itself", () => {
    const before = { before: new Set(["orders"]), within: new Set<string>() };
    const within = { before: new Set<string>(), within: new Set(["orders"]) };

    expect(lockOf("alter table public.orders add column note text", before)).toBeNull();
    expect(lockOf("alter table orders add column note text", within)).toBeNull();
  });

  test("counts the table of an index that an earlier transaction made", () => {
    const before = { before: new Set(["orders_id"]), within: new Set<string>() };
    const within = { before: new Set<string>(), within: new Set(["orders_id"]) };

    expect(lockOf("drop index orders_id", before)).toEqual({
      relation: "the table of orders_id",
      mode: "ACCESS EXCLUSIVE",
    });
    expect(lockOf("drop index orders_id", within)).toBeNull();
  });
});

describe("surelyMade", () => {
  const madeBy = (...statements: string[]) => {
    const migration = makeMigration("0000_one", 1, ...statements);
    return migration.statements.flatMap((each) => surelyMade(migration, each));
  };

  test("names what was not there before", () => {
    expect(madeBy("create table orders (id int)", "create index at on orders (id)")).toEqual([
      "orders",
      "at",
    ]);
  });

  test("is not sure of a table that may have been there", () => {
    expect(madeBy("create table if not exists orders (id int)")).toEqual([]);
  });

  test("is not sure of a name that another search path or a temporary table gives a second meaning", () => {
    expect(madeBy("create temp table orders (id int)")).toEqual([]);
    expect(
      madeBy(
        "set search_path = audit",
        "create table orders (id int)",
        "create table shop.orders ()",
      ),
    ).toEqual(["shop.orders"]);
  });
});

test("a long file is not read again for each of its statements", () => {
  // Read each time, it would be hundreds of gigabytes.
  const statements = Array.from({ length: 5_000 }, (_, index) => `create table t${index} (id int)`);
  const migration = makeMigration("0000_long", 1, ...statements, `select '${"x".repeat(5e7)}'`);

  const made = migration.statements.flatMap((each) => surelyMade(migration, each));

  expect(made).toHaveLength(5_000);
});

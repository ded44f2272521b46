import { Client } from "pg";
import { describe, expect, inject } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { Observer } from "../../../lib/rehearsal/observe.ts";
import {
  FACTS_QUESTION,
  RELATIONS_QUESTION,
  readFacts,
  readRelations,
} from "../../../lib/rehearsal/relations.ts";
import { rewrites, standstills, statementCosts } from "../../../lib/rehearsal/standstill.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { databaseUrl } from "../../../local/postgres/admin.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { test } from "../../setup/test.ts";

/** What was observed of one run. */
interface Seen {
  readonly report: Report;
  readonly standstills: readonly string[];
  readonly rewrites: readonly string[];
  readonly costs: ReturnType<typeof statementCosts>;
}

async function watch(
  name: string,
  target: Target,
  migrations: readonly Migration[],
  request: object = {},
): Promise<Seen> {
  const client = new Client({ connectionString: databaseUrl(inject("postgresUrl"), name) });
  await client.connect();
  const { rows } = await client.query(RELATIONS_QUESTION);
  const { rows: facts } = await client.query(FACTS_QUESTION);
  await client.end();
  const relations = readRelations(rows, DEFAULT_LEDGER);
  const observer = new Observer(relations, readFacts(facts));
  const report = await migrate(parseRequest(request), {
    ...{ bundle: makeBundle(...migrations), target: () => target, requestId: "test" },
    ...{ deadline: null, log: silentLog, observer },
  });
  const { transactions } = observer;
  return {
    report,
    standstills: standstills(transactions, relations).map(
      ({ relation, mode, blocks, since }) =>
        `${relation}: ${blocks} by ${mode} since ${since.migration} ${since.statement}`,
    ),
    rewrites: rewrites(transactions, relations).map(
      ({ relation, by }) => `${relation} by ${by.migration} ${by.statement}`,
    ),
    costs: statementCosts(transactions, relations),
  };
}

const SHOP = `
  create table orders (id int primary key, total int, note text);
  create table customers (id int primary key);
  create table log (at timestamptz);
  insert into orders select i, i, 'x' from generate_series(1, 2000) i;
  insert into customers select i from generate_series(1, 2000) i;
`;

describe.each(["drizzle", "statements"] as const)("by the executor %s", (executor) => {
  test("a lock on a table created in the same transaction is not reported as blocking", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner(SHOP);

    const seen = await watch(
      database.name,
      target,
      [
        makeMigration(
          "0000_new",
          1_000,
          "create table fresh (id int)",
          "alter table fresh add a int",
        ),
        makeMigration("0001_old", 2_000, "alter table orders add b int"),
      ],
      { executor },
    );

    expect(seen.report).toMatchObject({ status: "applied", executor });
    expect(seen.standstills).toEqual(["public.orders: reads by ACCESS EXCLUSIVE since 0001_old 1"]);
    expect(seen.rewrites).toEqual([]);
    expect(seen.costs.map(({ migration, statement }) => [migration, statement])).toEqual([
      ["0000_new", 1],
      ["0000_new", 2],
      ["0001_old", 1],
    ]);
  });

  test("costs no round trip", async ({ database, target }) => {
    await database.sqlAsOwner(SHOP);
    const seen = await watch(
      database.name,
      target,
      [makeMigration("0000_old", 1_000, "alter table orders add b int", "select 1")],
      { executor },
    );

    expect(seen.report.roundTrips).toBe(executor === "drizzle" ? 5 : 4);
  });
});

test("a rewrite by a change of type, and a lock that was held from an earlier statement on", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(SHOP);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_types",
      1_000,
      "create index on orders (total)",
      "select pg_sleep(0.2)",
      "alter table orders alter total type bigint",
      "truncate log",
    ),
  ]);

  expect(seen.standstills).toEqual([
    "public.orders: writes by ACCESS EXCLUSIVE since 0000_types 1",
    "public.orders: reads by ACCESS EXCLUSIVE since 0000_types 3",
    "public.log: reads by ACCESS EXCLUSIVE since 0000_types 4",
  ]);
  expect(seen.rewrites).toEqual(["public.orders by 0000_types 3", "public.log by 0000_types 4"]);
  const [index, sleep, type] = seen.costs;
  expect(sleep?.ms).toBeGreaterThanOrEqual(200);
  expect(index?.locks).toEqual([{ relation: "public.orders", mode: "SHARE" }]);
  expect(type?.walBytes).toBeGreaterThan(0);
});

test("a foreign key stops writes of both tables, a trigger reaches a third one, a partition its parent", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(`${SHOP}
    create function copy() returns trigger language plpgsql as
      $$ begin lock table log in share mode; return new; end $$;
    create trigger copied before update on orders for each row execute function copy();
    create table events (at date) partition by range (at);
    create table events_1 (at date not null);
    alter table orders add customer int;
  `);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_keys",
      1_000,
      "alter table orders add constraint c foreign key (customer) references customers (id)",
      "update orders set note = 'y' where id = 1",
      "alter table events attach partition events_1 for values from ('2026-01-01') to ('2027-01-01')",
    ),
  ]);

  expect(seen.report.status).toBe("applied");
  expect(seen.standstills.toSorted()).toEqual([
    "public.customers: writes by SHARE ROW EXCLUSIVE since 0000_keys 1",
    "public.events: ddl by SHARE UPDATE EXCLUSIVE since 0000_keys 3",
    "public.events_1: reads by ACCESS EXCLUSIVE since 0000_keys 3",
    "public.log: writes by SHARE since 0000_keys 2",
    "public.orders: writes by SHARE ROW EXCLUSIVE since 0000_keys 1",
  ]);
});

test("a lock that a rollback to a savepoint gave back counts until then", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(SHOP);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_savepoint",
      1_000,
      "savepoint s",
      "lock table orders in access exclusive mode",
      "rollback to savepoint s",
      "select pg_sleep(0.3)",
      "lock table log in share mode",
    ),
  ]);

  expect(seen.report.status).toBe("applied");
  expect(seen.standstills.toSorted()).toEqual([
    "public.log: writes by SHARE since 0000_savepoint 5",
    "public.orders: reads by ACCESS EXCLUSIVE since 0000_savepoint 2",
  ]);
});

test("each lock is told of the statement that took it: the first of a transaction, a key that was looked up before, a sequence of nobody", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(`${SHOP}
    create table items (customer int references customers (id));
    create sequence tickets;
    create table visits (ticket int default nextval('tickets'), note text);
  `);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_first",
      1_000,
      "insert into log values (now())",
      "insert into items values (1)",
    ),
    makeMigration("0001_alone", 2_000, "create index concurrently on items (customer)"),
    makeMigration(
      "0002_next",
      3_000,
      "insert into orders values (0)",
      "alter table orders add b int",
      "insert into log values (now())",
      "insert into items values (2)",
      "insert into visits (note) values ('x')",
    ),
  ]);

  const locks = seen.costs
    .filter(({ migration }) => migration === "0002_next")
    .map((cost) => cost.locks.map(({ relation, mode }) => `${relation} ${mode}`).toSorted());
  expect(locks).toEqual([
    ["public.orders ROW EXCLUSIVE"],
    ["public.orders ACCESS EXCLUSIVE"],
    ["public.log ROW EXCLUSIVE"],
    ["public.customers ROW SHARE", "public.items ROW EXCLUSIVE"],
    ["public.tickets ROW EXCLUSIVE", "public.visits ROW EXCLUSIVE"],
  ]);
});

test("an index that is built anew stops the reads of its table", async ({ database, target }) => {
  await database.sqlAsOwner(SHOP);

  const seen = await watch(database.name, target, [
    makeMigration("0000_reindex", 1_000, "reindex index orders_pkey"),
  ]);

  expect(seen.standstills.toSorted()).toEqual([
    "public.orders: writes by SHARE since 0000_reindex 1",
    "public.orders_pkey: reads by ACCESS EXCLUSIVE since 0000_reindex 1",
  ]);
  expect(seen.rewrites).toEqual(["public.orders_pkey by 0000_reindex 1"]);
});

test("a transaction with one snapshot, and one that sets its own rules first, run as without an observer", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(SHOP);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_own",
      1_000,
      "commit",
      "begin isolation level serializable",
      "set transaction deferrable",
      "alter table orders add b int",
      "select count(note) from orders",
      "commit",
    ),
    makeMigration(
      "0001_each",
      2_000,
      "set transaction isolation level repeatable read",
      "lock log",
    ),
  ]);

  expect(seen.report.error).toBeUndefined();
  expect(seen.report.status).toBe("applied");
  expect(seen.standstills.toSorted()).toEqual([
    "public.log: reads by ACCESS EXCLUSIVE since 0001_each 2",
    "public.orders: reads by ACCESS EXCLUSIVE since 0000_own 4",
  ]);
});

test("what was rolled back is not told, and the failing statement is named as without an observer", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(SHOP);

  const seen = await watch(database.name, target, [
    makeMigration(
      "0000_bad",
      1_000,
      "alter table orders add b int",
      "alter table orders add c int",
      "alter table nowhere add d int",
      "alter table orders add e int",
    ),
  ]);

  expect(seen.report.error).toMatchObject({
    code: "MIGRATION_FAILED",
    migration: "0000_bad",
    statement: { index: 3 },
  });
  expect(seen.standstills).toEqual([]);
});

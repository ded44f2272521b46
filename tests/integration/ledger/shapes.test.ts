import { describe, expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const third = makeMigration(
  "0002_third",
  3_000,
  "create index concurrently on notes (id)",
  "insert into notes values (3)",
);
const LEDGER = "drizzle.__drizzle_migrations";
const COLUMNS = "id serial primary key, hash text not null, created_at bigint";
const ROW = `insert into ${LEDGER} (hash, created_at) values ('${first.hash}', 1000)`;

describe("a ledger that Drizzle would not have made so is written once for each migration", () => {
  test.for<[string, string]>([
    ["unlogged", `create unlogged table ${LEDGER} (${COLUMNS}); ${ROW}`],
    [
      "partitioned",
      `create table ${LEDGER} (id serial, hash text not null, created_at bigint) partition by range (id);
       create table drizzle.one partition of ${LEDGER} for values from (1) to (2);
       create table drizzle.others partition of ${LEDGER} default; ${ROW}`,
    ],
    [
      "with its rows in a child",
      `create table ${LEDGER} (${COLUMNS}); create table drizzle.child () inherits (${LEDGER});
       insert into drizzle.child (id, hash, created_at) values (1, '${first.hash}', 1000)`,
    ],
    ["with a row twice", `create table ${LEDGER} (${COLUMNS}); ${ROW}; ${ROW}`],
    [
      "with another row of the same time",
      `create table ${LEDGER} (${COLUMNS}); ${ROW};
       insert into ${LEDGER} (hash, created_at) values ('other', 1000)`,
    ],
    [
      "without a time",
      `create table ${LEDGER} (${COLUMNS}); insert into ${LEDGER} (hash) values ('${first.hash}')`,
    ],
    [
      "with ids that no number of JavaScript holds",
      `create table ${LEDGER} (id bigserial primary key, hash text not null, created_at bigint);
       insert into ${LEDGER} values (9007199254740993, '${first.hash}', 1000)`,
    ],
  ])("%s", async ([, sql], { database, target }) => {
    await database.sqlAsOwner(`create schema drizzle; ${sql}; create table notes (id int)`);

    const reports = [
      await run(target, makeBundle(first, second)),
      await run(target, makeBundle(first, second, third)),
      await run(target, makeBundle(first, second, third)),
    ];

    expect(reports.map(({ status, error }) => error ?? status)).toEqual([
      ...["applied", "applied", "up-to-date"],
    ]);
    expect(await database.sql("select id from notes order by id")).toEqual([{ id: 1 }, { id: 3 }]);
  });
});

describe("a ledger that takes no row rolls the migration back, and says why", () => {
  test.for<[string, string, string]>([
    [
      "a column that Drizzle does not know",
      `create table ${LEDGER} (${COLUMNS}, who text not null);
       insert into ${LEDGER} (hash, created_at, who) values ('${first.hash}', 1000, 'x')`,
      `null value in column "who"`,
    ],
    [
      "no partition for the row",
      `create table ${LEDGER} (id serial, hash text not null, created_at bigint) partition by range (id);
       create table drizzle.one partition of ${LEDGER} for values from (1) to (2); ${ROW}`,
      "no partition of relation",
    ],
    [
      "a sequence that is used up",
      `create table ${LEDGER} (${COLUMNS}); ${ROW};
       alter sequence ${LEDGER}_id_seq maxvalue 2; select setval('${LEDGER}_id_seq', 2)`,
      "reached maximum value of sequence",
    ],
    [
      "ids that others have, without a unique id",
      `create table ${LEDGER} (id int default 1, hash text not null, created_at bigint); ${ROW}`,
      "gives ids that rows have already",
    ],
  ])("%s", async ([, sql, words], { database, target }) => {
    await database.sqlAsOwner(`create schema drizzle; ${sql}; create table notes (id int)`);

    const report = await run(target, makeBundle(first, second));

    expect(report.error?.message).toContain(words);
    expect(report.error?.message).toContain("is rolled back");
    expect(await database.sql("select id from notes")).toEqual([]);
  });
});

test("a ledger in public stays there when its role may create a schema later", async ({
  database,
  relay,
}) => {
  const guest = await database.createRole("guest");
  await database.sql(`grant usage, create on schema public to ${guest.name}`);
  const target = targetOf(database.urlOf(guest), relay.address);
  await run(target, makeBundle(first));
  await database.sql(`grant create on database ${database.name} to ${guest.name}`);

  const made = await run(target, makeBundle(first, second));
  await database.sql(
    `create schema drizzle authorization ${guest.name}; set role ${guest.name}; create table ${LEDGER} (${COLUMNS}); reset role`,
  );
  const beside = await run(target, makeBundle(first, second, third));

  expect([made, beside]).toMatchObject(
    Array(2).fill({ status: "applied", ledger: { schema: "public" } }),
  );
  expect(await database.sql("select id from notes order by id")).toEqual([{ id: 1 }, { id: 3 }]);
  await database.sql(`drop owned by ${guest.name}`);
});

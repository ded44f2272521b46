import { beforeEach, describe, expect, test } from "vitest";
import { amendLedger } from "../../../lib/amend/amend.ts";
import { silentLog } from "../../../lib/log.ts";
import type { ConfiguredLedger, Target } from "../../../lib/target/target.ts";
import type { Role } from "../../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";

const first = makeMigration("0000_first", 1_000, "create table if not exists notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const empty = makeMigration("0002_empty", 3_000);
const bundle = makeBundle(first, second, empty);
const COLUMNS = "id serial primary key, hash text not null, created_at bigint";
const ACTIONS = ["status", "plan", "up"] as const;

let database: TestDatabase;
let relay: string;
let target: Target;
let other: Role;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = (await database.startRelay()).address;
  target = targetOf(database.url, relay);
  other = await database.createRole("other");
  await database.sql(`grant create on database ${database.name} to ${other.name}`);
  await database.sqlAsOwner("create schema app_meta; create table counted (id int)");
  return async () => {
    await database.sql(`drop owned by ${other.name} cascade`);
    await database.close();
  };
});

/** Fills a table with the rows of these migrations. */
const fill = (table: string, ...migrations: readonly { hash: string; when: number }[]) =>
  `insert into ${table} (hash, created_at) values ${migrations.map(({ hash, when }) => `('${hash}', ${when})`).join(", ")};`;

const make = (table: string, columns = COLUMNS) =>
  `create table ${table} (${columns}); ${fill(table, first, second, empty)}`;

const NOTHING_RUN = "select from pg_class where relname in ('notes', '__drizzle_migrations')";

describe("a ledger that the settings do not name", () => {
  test.each<[string, string, readonly string[]]>([
    ["has another schema and name", make("app_meta.my_migrations"), ["has 3 of these 3"]],
    [
      "has a part of the migrations",
      `create table app_meta.my_migrations (${COLUMNS}); ${fill("app_meta.my_migrations", first)}`,
      ["has 1 of"],
    ],
    [
      "has Drizzle 1.0's columns",
      make("app_meta.my_migrations", `${COLUMNS}, name text, applied_at timestamptz default now()`),
      ["has 3 of these 3"],
    ],
    [
      "has columns of somebody else, too",
      make("app_meta.my_migrations", `${COLUMNS}, who text default current_user`),
      ["has 3 of these 3"],
    ],
    [
      "is one of two",
      `${make("app_meta.my_migrations")} create table public.history (${COLUMNS}); ${fill("public.history", first)}`,
      [`"app_meta"."my_migrations" has 3 of these 3 migrations, "public"."history" has 1 of`],
    ],
    [
      "stands beside an empty one",
      `${make("app_meta.my_migrations")} create schema drizzle; create table drizzle.__drizzle_migrations (${COLUMNS})`,
      ["has 3 of these 3"],
    ],
    [
      "stands beside another project's",
      `${make("app_meta.my_migrations")} create schema drizzle; create table drizzle.__drizzle_migrations (${COLUMNS}); ${fill("drizzle.__drizzle_migrations", { hash: "theirs", when: 5 })}`,
      ["has 3 of these 3"],
    ],
    [
      "has a name with quotes and spaces",
      make(`app_meta."it's ""my"" ledger"`).replaceAll("''", "'"),
      [`LEDGER_TABLE=it's "my" ledger`],
    ],
  ])("%s: nothing is run, and the settings are named", async (_what, sql, words) => {
    await database.sqlAsOwner(sql);

    const before = await database.sql(NOTHING_RUN);
    for (const action of ACTIONS) {
      const { error } = await run(target, bundle, { action });
      expect(error?.code).toBe("LEDGER_ELSEWHERE");
      for (const each of [
        ...words,
        "Nothing was run.",
        "LEDGER_SCHEMA=app_meta",
        "--ledger-table",
        'schema: "app_meta"',
      ]) {
        expect(error?.message).toContain(each);
      }
    }
    const baseline = amendLedger(
      { kind: "baseline", to: first.tag, gone: ["notes"] },
      {
        ...{ bundle, target, requestId: "test", write: true, lockTimeoutMs: 60_000 },
        log: silentLog,
      },
    );
    await expect(baseline).rejects.toThrow("LEDGER_SCHEMA=app_meta");
    expect(await database.sql(NOTHING_RUN)).toEqual(before);
  });
});

describe("a table that is not the ledger of this folder does not stop a run:", () => {
  test.each<[string, () => Promise<unknown>, string | null]>([
    [
      "another project's",
      () =>
        database.sqlAsOwner(
          `create table app_meta.my_migrations (${COLUMNS}); ${fill("app_meta.my_migrations", { hash: "theirs", when: 5 })}`,
        ),
      null,
    ],
    [
      "another project's, which also has an empty file",
      () =>
        database.sqlAsOwner(
          `create table app_meta.my_migrations (${COLUMNS}); ${fill("app_meta.my_migrations", { ...empty, when: 5 })}`,
        ),
      null,
    ],
    [
      "a view",
      () =>
        database.sqlAsOwner(
          `create view app_meta.my_migrations as select 1 as id, '${first.hash}'::text as hash, 1000::bigint as created_at`,
        ),
      null,
    ],
    [
      "a foreign table",
      () =>
        database.sql(
          `create extension file_fdw; create server f foreign data wrapper file_fdw; create foreign table app_meta.my_migrations (id int, hash text, created_at bigint) server f options (filename '/dev/null')`,
        ),
      null,
    ],
    [
      "a stranger's",
      () =>
        database.sql(
          `set role ${other.name}; create schema theirs; grant usage on schema theirs to public; ${make("theirs.my_migrations")} grant select on theirs.my_migrations to public; reset role`,
        ),
      null,
    ],
    [
      "an application's, with times and more rows than a ledger",
      () =>
        database.sqlAsOwner(
          `create table app_meta.files (id bigserial, hash text, created_at timestamptz); create table app_meta.blobs (id bigserial, hash text, created_at bigint, data text); alter table app_meta.blobs alter data set storage plain; insert into app_meta.blobs (hash, created_at, data) select '${first.hash}', 1000, repeat('x', 7000) from generate_series(1, 600)`,
        ),
      null,
    ],
    [
      "of a believed role, in a schema that is closed",
      () =>
        database.sql(
          `grant ${database.owner.name} to ${other.name}; set role ${other.name}; create schema theirs; ${make("theirs.my_migrations")} reset role`,
        ),
      "LEDGER_CLOSED",
    ],
  ])("%s", async (_what, plant, warning) => {
    await plant();

    const status = await run(target, bundle, { action: "status" });
    const report = await run(target, bundle);

    expect(report.error ?? report.status).toBe("applied");
    for (const { warnings } of [status, report]) {
      expect(warnings.map(({ code }) => code)).toEqual(warning === null ? [] : [warning]);
    }
  });

  test.each<[string, ConfiguredLedger]>([
    ["a schema of its own", { schema: "tenant_b", table: "__drizzle_migrations" }],
    ["a table of its own", { schema: "drizzle", table: "tenant_b" }],
    ["both", { schema: "tenant_b", table: "tenant_b" }],
    [
      "Drizzle's own schema by name",
      { schema: "drizzle", table: "__drizzle_migrations", named: true },
    ],
  ])("of another tenant, where the caller has named %s", async (_what, ledger) => {
    await database.sqlAsOwner(
      `create schema tenant_a; ${make("tenant_a.__drizzle_migrations")} ${make("tenant_a.tenant_a")}`,
    );

    const report = await run({ ...target, ledger }, bundle);

    expect(report.error ?? report.status).toBe("applied");
    expect(report.ledger).toMatchObject({ schema: ledger.schema, table: ledger.table });
  });
});

test.each<[string, ConfiguredLedger]>([
  ["schema", { schema: "drizzle", table: "my_migrations" }],
  ["table", { schema: "app_meta", table: "__drizzle_migrations", named: true }],
])("half of a name still finds the ledger: the %s is missing", async (_what, ledger) => {
  await database.sqlAsOwner(make("app_meta.my_migrations"));

  const report = await run({ ...target, ledger }, bundle);

  expect(report.error?.code).toBe("LEDGER_ELSEWHERE");
});

test("an empty database, and one that has its ledger, are asked nothing more", async () => {
  await database.sqlAsOwner("drop table counted");
  const created = await run(target, bundle);
  await database.sqlAsOwner(make("app_meta.my_migrations"));
  const again = await run(
    target,
    makeBundle(first, second, empty, makeMigration("0003", 4_000, "select 1")),
  );
  const other = await createTestDatabase();
  const relayed = targetOf(other.url, (await other.startRelay()).address);
  await other.sqlAsOwner("create table counted (id int)");
  const among = await run(relayed, bundle);
  await other.close();

  expect([created.status, again.status, among.status]).toEqual(Array(3).fill("applied"));
  expect(again.roundTrips).toBe(created.roundTrips);
  expect(among.roundTrips).toBe(created.roundTrips + 1);
});

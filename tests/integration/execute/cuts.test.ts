import { describe, expect } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const kinds = makeMigration(
  "0000_kinds",
  1_000,
  "create type kind as enum ('email')",
  "create table plugins (kind kind, name text)",
);
const added = makeMigration("0001_added", 2_000, "alter type kind add value 'gotify'");
const failing = makeMigration("0009_failing", 9_000, "select 1 / 0");

async function tablesOf(database: TestDatabase): Promise<readonly unknown[]> {
  const rows = await database.sql(
    "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
  );
  return rows.map(({ name }) => name);
}

async function ledgerRows(database: TestDatabase): Promise<unknown> {
  const [row] = await database.sql("select count(*)::int as n from drizzle.__drizzle_migrations");
  return row?.n;
}

describe("a new enum value", () => {
  test.for([
    ["a table's name", ["create table gotify (id int)"]],
    ["a column's name", ["create table settings (gotify int)"]],
    ["a longer constant", ["insert into plugins (name) values ('gotify-server')"]],
    ["a column of text", ["insert into plugins (kind, name) values (null, 'x'::text || 'gotify')"]],
    ["the default of a text", ["create table named (kind kind, name text default 'gotify')"]],
    ["a comment", ["create table commented (id int /* 'gotify' */)"]],
    ["the words of COMMENT ON", ["comment on table plugins is 'gotify'"]],
    ["a row's text", ["insert into plugins (kind, name) values ('email', 'gotify')"]],
    ["an update of a text", ["update plugins set name = 'gotify' where name <> 'gotify'"]],
    [
      "a function that nobody calls",
      ["create function f() returns kind language plpgsql as $$ begin return 'gotify'; end $$"],
    ],
  ] satisfies [string, string[]][])(
    "is not used by its letters in %s: a later failure leaves nothing behind",
    async ([, statements], { database, target }) => {
      await run(target, makeBundle(kinds));
      const named = makeMigration("0002_named", 3_000, ...statements);

      const report = await run(target, makeBundle(kinds, added, named, failing), {
        transaction: "all",
        executor: "drizzle",
      });

      expect(report).toMatchObject({
        ...{ status: "failed", atomic: true, cuts: [], executor: "drizzle", applied: [] },
        error: { code: "MIGRATION_FAILED", sqlstate: "22012", migration: failing.tag },
      });
      expect(await ledgerRows(database)).toBe(1);
      expect(await tablesOf(database)).toEqual(["plugins"]);
    },
  );

  test.for([
    ["a default", "create table used (kind kind default 'gotify')"],
    ["a default that is set", "alter table plugins alter column kind set default 'gotify'"],
    ["a row", "insert into plugins values ('gotify', 'x')"],
    ["a cast", "create view used as select 'gotify'::kind as kind"],
    ["an array", "create table used (kinds kind[] default '{email,gotify}')"],
    ["a DO block", "do $$ begin insert into plugins values ('gotify'); end $$"],
    [
      "a function in SQL",
      "create function f() returns kind language sql as $$ select 'gotify'::kind $$",
    ],
    ["a condition of an index", "create index on plugins (name) where kind = 'gotify'"],
  ] satisfies [string, string][])(
    "is committed before %s uses it, at the boundary of the files, without a second attempt",
    async ([, statement], { database, target }) => {
      await run(target, makeBundle(kinds));
      const used = makeMigration("0002_used", 3_000, "create table before (id int)", statement);
      const bundle = makeBundle(kinds, added, used, failing);
      const plan = await run(target, bundle, { action: "plan" });
      const lines: string[] = [];

      const report = await run(target, bundle, {}, { log: (event) => lines.push(event) });

      const cuts = [{ migration: used.tag, statement: 2, line: 3, reason: "new-enum-value" }];
      expect(plan).toMatchObject({ atomic: false, cuts, executorReason: "new-enum-value" });
      expect(report).toMatchObject({ status: "failed", cuts, applied: [{ tag: added.tag }] });
      expect(lines).not.toContain("plan.again");
      expect(await tablesOf(database)).toEqual(["plugins"]);
      expect(await ledgerRows(database)).toBe(2);
    },
  );

  test("that only the server sees used is learned, and cuts between the files", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(kinds));
    const hidden = makeMigration(
      "0002_hidden",
      3_000,
      "create table before (id int)",
      "insert into plugins values (('got' || 'ify')::kind, 'x')",
    );

    const report = await run(target, makeBundle(kinds, added, hidden, failing));

    expect(report).toMatchObject({
      ...{ status: "failed", applied: [{ tag: added.tag }] },
      cuts: [{ migration: hidden.tag, statement: 2, reason: "new-enum-value" }],
      error: { migration: failing.tag },
    });
    expect(await tablesOf(database)).toEqual(["plugins"]);
  });
});

test("a use that only the server sees is refused, and nothing stays, where all must share one transaction", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(kinds));
  const hidden = makeMigration(
    "0002_hidden",
    3_000,
    "insert into plugins values (('got' || 'ify')::kind, 'x')",
  );

  const report = await run(target, makeBundle(kinds, added, hidden), { transaction: "all" });

  expect(report).toMatchObject({ status: "failed", error: { sqlstate: "55P04" }, applied: [] });
  expect(await database.sql("select enum_range(null::kind)::text as kinds")).toEqual([
    { kinds: "{email}" },
  ]);
});

test("a bundle of an earlier version, without marks, is tried in one transaction and cut where the server says so", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(kinds));
  const used = makeMigration("0002_used", 3_000, "insert into plugins values ('gotify', 'x')");

  const report = await run(target, { ...makeBundle(kinds), migrations: [kinds, added, used] });

  expect(report).toMatchObject({
    status: "applied",
    cuts: [{ migration: used.tag, statement: 1, reason: "new-enum-value" }],
  });
  expect(await database.sql("select kind::text from plugins")).toEqual([{ kind: "gotify" }]);
});

/** Makes a folder of plain files, with some that build an index beside the traffic. */
function folderOf(count: number, concurrent: readonly number[]): readonly Migration[] {
  return Array.from({ length: count }, (_, index) => {
    const tag = String(index).padStart(4, "0");
    const statements = [
      `create table t${tag} (id int)`,
      ...(concurrent.includes(index)
        ? [`create index concurrently i${tag} on t${tag} (id)`, `insert into t${tag} values (1)`]
        : []),
    ];
    return makeMigration(`${tag}_file`, 1_000 * (index + 1), ...statements);
  });
}

describe("a folder of which a few files have CONCURRENTLY", () => {
  test("takes as many round trips as it has cuts, whatever the number of its files", async ({
    database,
    target,
  }) => {
    const plain = await run(target, makeBundle(...folderOf(10, [2, 5])));
    await database.sqlAsOwner(
      "drop schema public cascade; create schema public; drop schema drizzle cascade",
    );

    const report = await run(target, makeBundle(...folderOf(60, [20, 40])));

    expect(report).toMatchObject({
      status: "applied",
      cuts: [
        { migration: "0020_file", statement: 2, reason: "not-transactional" },
        { migration: "0040_file", statement: 2, reason: "not-transactional" },
      ],
    });
    expect(report.applied.map(({ tag }) => tag)).toEqual(folderOf(60, []).map(({ tag }) => tag));
    expect(await ledgerRows(database)).toBe(60);
    expect(report.roundTrips).toBe(plain.roundTrips);
  });

  test("leaves nothing of the files that share a transaction with the one that fails", async ({
    database,
    target,
  }) => {
    const report = await run(target, makeBundle(...folderOf(6, [2]), failing));

    expect(report).toMatchObject({
      status: "failed",
      pending: [
        { tag: "0002_file", done: 2 },
        ...["0003_file", "0004_file", "0005_file", failing.tag].map((tag) => ({ tag, done: 0 })),
      ],
    });
    expect(report.error?.message).not.toContain("done and stay");
    expect(await tablesOf(database)).toEqual(["t0000", "t0001", "t0002"]);
    expect(await database.sql("select * from t0002")).toEqual([]);
    const again = await run(target, makeBundle(...folderOf(6, [2])));
    expect(again).toMatchObject({ status: "applied", applied: [{ tag: "0002_file" }, {}, {}, {}] });
    expect(again.warnings).toEqual([]);
  });

  test("has the ledger row of a file that ends with CONCURRENTLY also where the next file fails", async ({
    database,
    target,
  }) => {
    const ending = makeMigration(
      "0001_ending",
      2_000,
      "create index concurrently plugins_name on plugins (name)",
    );

    const report = await run(target, makeBundle(kinds, ending, failing));

    expect(report).toMatchObject({
      ...{ status: "failed", applied: [{ tag: kinds.tag }, { tag: ending.tag }] },
      pending: [{ tag: failing.tag }],
    });
    expect(await ledgerRows(database)).toBe(2);
    expect(await database.sql("select tag from drizzle.__drizzle_migrations_checkpoints")).toEqual(
      [],
    );
  });

  test("goes on behind a VACUUM and a REINDEX that follow each other", async ({
    database,
    target,
  }) => {
    const maintenance = makeMigration(
      "0001_maintenance",
      2_000,
      "vacuum plugins",
      "create index concurrently plugins_name on plugins (name)",
      "reindex index concurrently plugins_name",
      "select 1 / (select count(*) from plugins)",
    );
    const failed = await run(target, makeBundle(kinds, maintenance));
    expect(failed).toMatchObject({ status: "failed", pending: [{ done: 3 }] });
    const status = await run(target, makeBundle(kinds, maintenance), { action: "status" });
    expect(status).toMatchObject({ pending: [{ done: 3 }] });
    await database.sql("insert into plugins values (null, 'x')");

    const report = await run(target, makeBundle(kinds, maintenance));

    expect(report).toMatchObject({ status: "applied", warnings: [] });
  });
});

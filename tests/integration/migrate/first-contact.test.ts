import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { makeProject } from "../../setup/project.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const init = makeMigration(
  "0000_init",
  1_000,
  "create table if not exists orders (id int)",
  "create table if not exists counted (id int)",
  "insert into counted values (1)",
);
const tags = makeMigration("0001_tags", 2_000, "create table tags (id int)");
const MADE = "create table orders (id int); create table counted (id int);";
const LEDGER = `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);`;
const OTHER_ROW =
  "insert into drizzle.__drizzle_migrations (hash, created_at) values ('squashed', 5);";

describe("a database with the tables of the first migrations, and no row of theirs, is not migrated:", () => {
  test.for<[string, string, readonly Migration[], string]>([
    [
      "made by hand",
      MADE,
      [init, tags],
      `2 of the 2 tables of 0000_init ("orders", "counted"), and no ledger. Was it`,
    ],
    [
      "with later tables, too",
      `${MADE} create table tags (id int)`,
      [init, tags],
      "3 of the 3 tables of 0000_init to 0001_tags",
    ],
    [
      "with an empty ledger",
      `${MADE} ${LEDGER}`,
      [init],
      `and its ledger "drizzle"."__drizzle_migrations" is empty`,
    ],
    [
      "with a ledger of migrations that were squashed",
      `${MADE} ${LEDGER} ${OTHER_ROW}`,
      [init],
      "has no row of this folder",
    ],
    [
      "behind a migration without tables",
      MADE,
      [makeMigration("0000_none", 500, "select 1"), { ...init, tag: "0001_init" }],
      "2 of the 2 tables of 0001_init",
    ],
    [
      "without a table that a later migration drops",
      "create table counted (id int)",
      [init, makeMigration("0001_drop", 2_000, "drop table orders")],
      `1 of the 1 tables of 0000_init ("counted")`,
    ],
    [
      "without a table that a later migration renames",
      "create table counted (id int); create table bills (id int)",
      [init, makeMigration("0001_name", 2_000, "alter table orders rename to bills")],
      `1 of the 1 tables of 0000_init ("counted")`,
    ],
    [
      "in a schema of its own",
      `create schema "a b"; create table "a b".counted ()`,
      [
        makeMigration(
          "0000_init",
          1_000,
          `create table if not exists "a b".counted (id int)`,
          `insert into counted values (1)`,
        ),
      ],
      `tables of 0000_init ("a b"."counted")`,
    ],
  ])("%s", async ([, sql, migrations, words], { database, target }) => {
    await database.sqlAsOwner(sql);
    const bundle = makeBundle(...migrations);
    const [, tag = "0000_init"] = /tables of (?:\w+ to )?(\w+)/.exec(words) ?? [];

    const status = await run(target, bundle, { action: "status" });
    const refused = [await run(target, bundle, { action: "plan" }), await run(target, bundle)];

    expect(status.status).toBe("planned");
    expect(status.warnings.at(-1)).toMatchObject({
      code: "NOT_BASELINED",
      message: expect.stringContaining(words),
    });
    for (const { error } of refused) {
      expect(error?.code).toBe("NOT_BASELINED");
      expect(error?.message).toContain(words);
      expect(error?.message).toContain("Nothing was run.");
      expect(error?.message).toContain(`"neon-migrate baseline --to ${tag}"`);
    }
    expect(await database.sql("select from pg_class where relname = 'counted'")).toHaveLength(1);
  });
});

describe("a run is not stopped", () => {
  test.for<[string, string, readonly Migration[], readonly string[]]>([
    ["by some of the tables", "create table orders (id int)", [init], ["NOT_BASELINED"]],
    [
      "by tables in a schema where the migrations would not make them",
      "create schema app; create table app.orders (); create table app.counted ()",
      [init],
      [],
    ],
    [
      "by tables behind that schema in the search path",
      `${MADE} create schema app; do $$ begin execute format('alter role %I set search_path = app, public', current_user); end $$`,
      [init],
      [],
    ],
    [
      "by tables that the migrations make behind a search path of their own",
      `${MADE} create schema app`,
      [
        makeMigration(
          "0000_init",
          1_000,
          "set local search_path = app",
          "create table counted (id int)",
          "insert into counted values (1)",
        ),
      ],
      [],
    ],
    [
      "by a temporary table of the same name",
      MADE,
      [
        makeMigration(
          "0000_init",
          1_000,
          "create temp table counted (id int)",
          "insert into counted values (1)",
        ),
      ],
      [],
    ],
    ["by what is no table of the folder", "create table others ()", [init, tags], []],
  ])("%s", async ([, sql, migrations, codes], { database, target }) => {
    await database.sqlAsOwner(sql);

    const report = await run(target, makeBundle(...migrations));

    expect(report.error ?? report.status).toBe("applied");
    expect(report.warnings.map(({ code }) => code)).toEqual(codes);
  });
});

describe("an object that exists already is said to have another reason, where the ledger has nothing of the folder:", () => {
  test.for<[string, string, string]>([
    ["42710", "create type role as enum ('a')", "create type role as enum ('a')"],
    ["42P06", "create schema app", "create schema app"],
    ["42P07", "select 1", "create table orders (id int)"],
    [
      "42723",
      "create function f() returns int language sql as 'select 1'",
      "create function f() returns int language sql as 'select 1'",
    ],
    ["42701", "select 1", "alter table orders add column id int"],
  ])("%s", async ([sqlstate, made, statement], { database, target }) => {
    await database.sqlAsOwner(`create table orders (id int); ${made}`);
    const bundle = makeBundle(
      makeMigration("0000_init", 1_000, "create table counted (id int)", statement),
    );

    const report = await run(target, bundle);

    expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate });
    expect(report.error?.message).toContain(`"neon-migrate baseline --to 0000_init"`);
  });

  test.for(["drizzle", "statements"])(
    "but for the schema of the ledger, which the run makes itself: %s",
    async (executor, { target }) => {
      const bundle = makeBundle(makeMigration("0000_init", 1_000, "create schema billing"));
      const ledger = { schema: "billing", table: "__drizzle_migrations" };

      const { error } = await run({ ...target, ledger }, bundle, { executor });

      expect(error).toMatchObject({
        ...{ code: "MIGRATION_FAILED", sqlstate: "42P06" },
        message: expect.stringContaining("The ledger is kept in this schema"),
        advice: expect.stringContaining("CREATE SCHEMA IF NOT EXISTS"),
      });
      expect(JSON.stringify(error)).not.toContain("baseline");
    },
  );

  test("but not where the folder itself makes it twice, nor behind a first migration", async ({
    database,
    target,
  }) => {
    const twice = makeMigration("0002_twice", 3_000, "create table tags (id int)");

    const atOnce = await run(target, makeBundle(tags, twice));
    await run(target, makeBundle(tags));
    const later = await run(target, makeBundle(tags, twice));

    for (const { error } of [atOnce, later]) {
      expect(error?.sqlstate).toBe("42P07");
      expect(error?.message).not.toContain("baseline");
    }
    expect(await database.sql("select from pg_class where relname = 'tags'")).toHaveLength(1);
  });
});

test("what drizzle-kit push has made is adopted by the commands that the messages name", async ({
  database,
}) => {
  const project = makeProject({
    "package.json": '{ "type": "module" }',
    "schema.ts": `
      import { integer, pgEnum, pgTable } from "drizzle-orm/pg-core";
      export const role = pgEnum("role", ["owner", "admin"]);
      export const orgs = pgTable("orgs", { id: integer().primaryKey(), role: role() });
      export const users = pgTable("users", { id: integer().primaryKey(), org: integer().references(() => orgs.id) });`,
    "drizzle.config.ts": `
      export default {
        dialect: "postgresql", schema: "./schema.ts", out: "./migrations",
        dbCredentials: { url: ${JSON.stringify(database.url)} },
      };`,
  });
  const kit = join(project, "node_modules/drizzle-kit/bin.cjs");
  for (const words of [
    ["generate", "--name", "init"],
    ["push", "--force"],
  ]) {
    await promisify(execFile)(process.execPath, [kit, ...words], {
      cwd: project,
      env: { PATH: process.env.PATH },
    });
  }
  expect(readdirSync(join(project, "migrations"))).toContain("0000_init.sql");

  const said = await Promise.all(
    ["status", "plan", "up"].map((command) => neonMigrateIn(project, [command, "--relay"])),
  );
  const [, command = ""] =
    /"neon-migrate (baseline [^"]*)"/.exec(
      said.map(({ stdout, stderr }) => stdout + stderr).join(),
    ) ?? [];
  const baseline = await neonMigrateIn(project, [...command.split(" "), "--relay", "--yes"]);
  const up = await neonMigrateIn(project, ["up", "--relay", "--json"]);

  for (const { stdout, stderr } of said) {
    expect(stdout + stderr).toContain("This database has 2 of the 2 tables of 0000_init");
  }
  expect(said.map(({ exitCode }) => exitCode)).toEqual([0, 1, 1]);
  expect([command, baseline.exitCode]).toEqual(["baseline --to 0000_init", 0]);
  expect(JSON.parse(up.stdout)).toMatchObject({ status: "up-to-date" });
});

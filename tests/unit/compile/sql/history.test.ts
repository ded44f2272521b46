import { describe, expect, test } from "vitest";
import { tablesMadeBy } from "../../../../lib/compile/sql/history.ts";
import { makeMigration } from "../../../setup/make-migration.ts";

/** The tables that stand at the end, each with the migration that made it so. */
async function standing(...migrations: (readonly string[])[]): Promise<readonly string[]> {
  const made = await tablesMadeBy(
    migrations.map((statements, index) => makeMigration(`000${index}`, index, ...statements)),
  );
  return made.map(({ table: { schema, name }, tag }) => `${schema ?? ""}.${name} ${tag}`);
}

describe("tablesMadeBy", () => {
  test("names what is created, with its schema where it has one, and by whom", async () => {
    const made = await standing(
      ['create table "Users" (id int)', "create table if not exists app.notes ()"],
      ["create table totals as select 1 as one", "create unlogged table fast ()"],
    );

    expect(made).toEqual([".Users 0000", "app.notes 0000", ".totals 0001", ".fast 0001"]);
  });

  test("leaves out what is dropped again, with its schema or without", async () => {
    const made = await standing(
      ["create table a ()", "create table b ()", "create table app.c ()", "create table app.d ()"],
      ["drop table public.a, app.c cascade"],
    );

    expect(made).toEqual([".b 0000", "app.d 0000"]);
  });

  test("leaves out what goes with its schema", async () => {
    expect(
      await standing(
        ["create schema app", "create table app.a ()", "create table b ()"],
        ["drop schema app cascade"],
      ),
    ).toEqual([".b 0000"]);
  });

  test("follows a table to its new name and its new schema", async () => {
    const made = await standing(
      ["create table a ()", "create table b ()", "create table old.c ()"],
      ["alter table a rename to renamed", "alter table b set schema app"],
      ["alter schema old rename to new", "alter table renamed rename column x to y"],
    );

    expect(made).toEqual([".renamed 0001", "app.b 0001", "new.c 0002"]);
  });

  test("knows a table that takes the place of another one", async () => {
    expect(
      await standing(
        ["create table a ()", "create table new_a ()"],
        ["drop table a", "alter table new_a rename to a"],
      ),
    ).toEqual([".a 0001"]);
  });

  test("keeps the first maker of a table that IF NOT EXISTS leaves alone", async () => {
    expect(await standing(["create table a ()"], ["create table if not exists a ()"])).toEqual([
      ".a 0000",
    ]);
  });

  test("leaves out temporary tables, partitions, views and materialized views", async () => {
    expect(
      await standing([
        "create temp table t ()",
        "create table parts (id int) partition by range (id)",
        "create table part_1 partition of parts for values from (0) to (10)",
        "create view v as select 1 as one",
        "create materialized view m as select 1 as one",
        "do $$ begin create table hidden (); end $$",
      ]),
    ).toEqual([".parts 0000"]);
  });
});

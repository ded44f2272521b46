import { describe, expect, test } from "vitest";
import { makeBundle, makeMigration } from "../../../setup/make-migration.ts";

/** Returns the marks of the last statement, behind statements that make a table of each type. */
function marksOf(...statements: string[]): unknown {
  const base = makeMigration(
    "0000_base",
    1_000,
    "create type kind as enum ('a')",
    "create table things (id int, kind kind, name text)",
    "commit",
    "alter type kind add value 'new'",
  );
  const bundle = makeBundle(base, makeMigration("0001_last", 2_000, ...statements));
  return bundle.migrations.at(-1)?.statements.at(-1)?.newValues;
}

const USED = [{ added: { tag: "0000_base", index: 3 }, created: { tag: "0000_base", index: 0 } }];

describe("a statement is marked as using a new enum value", () => {
  test.each([
    "insert into things values (1, 'new', 'x')",
    "insert into things (name, kind) values ('x', 'new')",
    "insert into things select 1, 'new', 'x'",
    "insert into things (id) values (1) on conflict (id) do update set kind = 'new'",
    "update things set kind = 'new'",
    "delete from things where kind in ('a', 'new')",
    "select * from things where 'new' = kind",
    "select * from unknown_table where x = 'new'",
    "create policy p on things using (kind = 'new')",
    "alter table things add constraint c check (kind <> 'new')",
    "alter table things alter column name type kind using 'new'::kind",
    "alter table unknown_table alter column x set default 'new'",
    "create view v as select * from things where kind = 'new'",
  ])("by a constant: %s", (statement) => {
    expect(marksOf(statement)).toEqual(USED);
  });

  test.each([
    "insert into things (name) values ('new')",
    "update things set name = 'new' where name = 'new'",
    "alter table things alter column name set default 'new'",
    "alter table things add column other text default 'new'",
    "create table others (kind kind, name text check (name <> 'new'))",
    'alter table things rename column name to "new"',
    "insert into things values (1, 'a', 'new')",
    "set my.setting = 'new'",
    "alter type kind add value 'newer' before 'new'",
    "select 'new'::text",
  ])("not by a constant of another type, or its letters: %s", (statement) => {
    expect(marksOf(statement)).toBeUndefined();
  });

  test("by the type's and the value's present names", () => {
    const insert = "insert into things (kind) values ('fresh')";
    const renames = ["alter type kind rename value 'new' to 'fresh'", insert];

    expect(marksOf(...renames)).toEqual(USED);
    expect(
      marksOf("alter type kind rename to sort", "create table sorted (sort sort default 'new')"),
    ).toEqual(USED);
  });

  test("no more once the type is dropped and made anew with the value", () => {
    const anew = [
      "drop type kind",
      "create type kind as enum ('a', 'new')",
      "create table again (kind kind default 'new')",
    ];

    expect(marksOf(...anew)).toBeUndefined();
  });

  test("by the first ADD VALUE alone, where a later one adds nothing", () => {
    const twice = [
      "alter type kind add value if not exists 'new'",
      "create table again (kind kind default 'new')",
    ];

    expect(marksOf(...twice)).toEqual(USED);
  });
});

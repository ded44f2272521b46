import { expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

test("a file that came with other line ends is up to date, also where changed files are refused", async ({
  target,
}) => {
  const applied = makeMigration("0000_notes", 1_000, "create table notes (id int);\n");
  const checkedOut = makeMigration("0000_notes", 1_000, "create table notes (id int);\r\n");

  await run(target, makeBundle(applied));
  const report = await run(target, makeBundle(checkedOut), { modified: "error" });

  expect(report).toMatchObject({
    status: "up-to-date",
    drift: { modified: [] },
    warnings: [{ code: "COSMETIC_EDIT" }],
  });
});

test("a half-applied file goes on when what has run was edited in comments and blanks only", async ({
  database,
  target,
}) => {
  const half = (first: string, last: string) =>
    makeBundle(
      makeMigration("0000_notes", 1_000, "create table notes (id int);\n"),
      makeMigration("0001_half", 2_000, first, "vacuum notes", last),
    );
  await run(target, half("insert into notes values (1)", "select 1 / 0"));

  const report = await run(
    target,
    half("-- the first\ninsert into notes  -- of two\nvalues (1)", "insert into notes values (2)"),
  );

  expect(report).toMatchObject({ status: "applied", applied: [{ tag: "0001_half" }] });
  expect(await database.sql("select id from notes order by id")).toEqual([{ id: 1 }, { id: 2 }]);
});

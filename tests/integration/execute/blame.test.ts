import { describe, expect } from "vitest";
import { everythingIn } from "../../setup/everything.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const last = makeMigration("0002_last", 3_000, "insert into notes values (2)");
const wrongly = (...statements: readonly string[]) =>
  makeMigration("0001_wrong", 2_000, "insert into notes values (1)", ...statements);

/** What takes the ledger away. */
const TAKEN: Readonly<Record<string, string>> = {
  "drops the schema": "drop schema drizzle cascade",
  "drops the table": `drop table ${LEDGER}`,
  "renames the table": `alter table ${LEDGER} rename to old`,
  "renames the schema": "alter schema drizzle rename to old",
  "moves the table": `alter table ${LEDGER} set schema public`,
  "drops a column": `alter table ${LEDGER} drop column hash`,
  "drops it within a DO block": `do $$ begin execute 'drop table ${LEDGER}'; end $$`,
};

describe("a migration that takes the ledger away is named, and nothing of it stays:", () => {
  test.for(
    Object.keys(TAKEN).flatMap((what) => [
      [what, "drizzle"],
      [what, "statements"],
    ]),
  )("it %s (%s)", async ([what = "", executor], { database, target }) => {
    await run(target, makeBundle(first));
    const before = await everythingIn(database);
    const wrong = wrongly(TAKEN[what] ?? "");

    const report = await run(target, makeBundle(first, wrong, last), { executor });

    expect(report.error).toMatchObject({
      ...{ code: "LEDGER_UNWRITABLE", migration: wrong.tag },
      message: expect.stringMatching(
        /rolled back\. A statement of migration 0001_wrong has .*out\./,
      ),
    });
    expect(report.error?.sqlstate).toMatch(/^(42P01|3F000|42703)$/);
    expect(await everythingIn(database)).toEqual(before);
  });

  test("in the run that creates the ledger", async ({ database, target }) => {
    const before = await everythingIn(database);
    const wrong = wrongly("drop schema drizzle cascade");

    const report = await run(target, makeBundle(first, wrong, last), { executor: "statements" });

    expect(report.error).toMatchObject({ code: "LEDGER_UNWRITABLE", migration: wrong.tag });
    expect(await everythingIn(database)).toEqual(before);
  });

  test("behind a statement that stands alone, which stays done", async ({ database, target }) => {
    await run(target, makeBundle(first));
    const wrong = wrongly("commit", "vacuum notes", "drop schema drizzle cascade");

    const report = await run(target, makeBundle(first, wrong));
    const after = await everythingIn(database);
    const again = await run(target, makeBundle(first, wrong));

    expect(report.error).toMatchObject({
      migration: wrong.tag,
      message: expect.stringMatching(/Take that statement out.*are done and stay done/),
    });
    expect(report.pending).toMatchObject([{ done: 3 }]);
    expect(after.names).toContain(`relation r ${LEDGER}`);
    expect(again.error?.message).toBe(report.error?.message);
    expect(await database.sql("select id from notes")).toEqual([{ id: 1 }]);
  });

  test("behind a single one", async ({ database, target }) => {
    await run(target, makeBundle(first));
    const wrong = makeMigration(
      "0001_wrong",
      2_000,
      "create index concurrently notes_id on notes (id)",
      `drop table ${LEDGER}`,
    );

    const report = await run(target, makeBundle(first, wrong));

    expect(report.error?.message).toContain("Statement 1 of 2 is done and stays done;");
    expect(await database.sql(`select done from ${LEDGER}_checkpoints`)).toEqual([{ done: 1 }]);
    expect((await everythingIn(database)).names).toContain("relation i public.notes_id");
  });

  test("by a procedure that commits: that the ledger is gone is said", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(first));
    const wrong = wrongly(
      `create procedure gone() language plpgsql as $$ begin drop schema drizzle cascade; commit; end $$`,
      "call gone()",
    );

    const report = await run(target, makeBundle(first, wrong));

    expect(report.error?.message).toMatch(/not as this run has read it.*Restore it before/);
    expect(await database.sql("select from pg_namespace where nspname = 'drizzle'")).toEqual([]);
  });
});

test("a trigger of the ledger that misses a table of its own is not taken for that", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(first));
  await database.sqlAsOwner(`
    create function audit() returns trigger language plpgsql as $$ begin
      insert into no_such_table values (1); return new; end $$;
    create trigger audit before insert on ${LEDGER} for each row execute function audit()`);
  const before = await everythingIn(database);

  const { error } = await run(target, makeBundle(first, last));

  expect(error).toMatchObject({ code: "LEDGER_UNWRITABLE", sqlstate: "42P01" });
  expect(error?.message).toMatch(/"no_such_table" does not exist \(42P01\)\. .* rolled back\.$/);
  expect(await everythingIn(database)).toEqual(before);
});

/** What makes later statements, or the record, fail, with the words that name it. */
const READ_ONLY: Readonly<Record<string, readonly [string, ...string[]]>> = {
  "for all transactions": [
    "Statement 2 (line 3) has made",
    "set default_transaction_read_only = on",
    "commit",
    "vacuum notes",
    "insert into notes values (2)",
  ],
  "for all transactions, within a function": [
    "A statement before, or a function that it calls, has made",
    "do $$ begin perform set_config('default_transaction_' || 'read' || '_only', 'on', false); end $$",
    "commit",
    "vacuum notes",
    "insert into notes values (2)",
  ],
  "for its own transaction, behind its last write": [
    "Statement 2 (line 3) has made",
    "set transaction read only",
  ],
  "for its own transaction, before a write": [
    "Statement 2 (line 3) has made",
    "set transaction_read_only = on",
    "insert into notes values (2)",
  ],
};

test.for(Object.keys(READ_ONLY))(
  "a migration that makes transactions read-only is named, and not the connection string: %s",
  async (what, { database, target }) => {
    const [words = "", ...statements] = READ_ONLY[what] ?? [];
    await run(target, makeBundle(first));
    const before = await everythingIn(database);
    const wrong = wrongly(...statements);

    const report = await run(target, makeBundle(first, wrong, last));

    expect(report.error).toMatchObject({
      ...{ code: "MIGRATION_FAILED", sqlstate: "25006", migration: wrong.tag },
      message: expect.stringContaining(`${words} transactions read-only. Take that out`),
    });
    expect(report.error?.message).not.toMatch(/connection string|replica|primary/);
    const done = report.pending[0]?.done ?? 0;
    const rows = await database.sql("select id from notes");
    expect(rows).toEqual(done === 0 ? [] : [{ id: 1 }]);
    if (done === 0) expect(await everythingIn(database)).toEqual(before);
  },
);

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";

import { test } from "../../setup/test.ts";

const logs = makeMigration(
  "0000_logs",
  1_000,
  "create table logs (file text, isolation text, read_only text)",
);
const log = (file: string) =>
  `insert into logs values ('${file}', current_setting('transaction_isolation'), current_setting('transaction_read_only'))`;
const after = makeMigration("0002_after", 3_000, log("after"));

describe("the transaction that a file begins", () => {
  test.for([
    ["BEGIN ISOLATION LEVEL SERIALIZABLE", "serializable"],
    ["START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE", "repeatable read"],
    ["BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "serializable"],
    ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "repeatable read"],
    ["BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE", "serializable"],
  ] satisfies [string, string][])(
    "is the one of %s, and ends with the file",
    async ([begin, isolation], { database, target }) => {
      const own = makeMigration("0001_own", 2_000, begin, log("own"));

      const report = await run(target, makeBundle(logs, own, after));

      expect(report).toMatchObject({ status: "applied", atomic: false });
      expect(report.cuts[0]).toMatchObject({ migration: own.tag, reason: "transaction-control" });
      expect(await database.sql("select * from logs")).toEqual([
        { file: "own", isolation, read_only: "off" },
        { file: "after", isolation: "read committed", read_only: "off" },
      ]);
    },
  );

  test("goes on with the same isolation behind COMMIT AND CHAIN", async ({ database, target }) => {
    const chained = makeMigration(
      "0001_chained",
      2_000,
      "begin isolation level serializable",
      log("first"),
      "commit and chain",
      log("second"),
      "commit",
      log("third"),
    );

    expect(await run(target, makeBundle(logs, chained, after))).toMatchObject({
      status: "applied",
    });
    expect(await database.sql("select file, isolation from logs")).toEqual([
      { file: "first", isolation: "serializable" },
      { file: "second", isolation: "serializable" },
      { file: "third", isolation: "read committed" },
      { file: "after", isolation: "read committed" },
    ]);
  });

  test.for([
    ["begin read only"],
    ["start transaction isolation level serializable, read only, deferrable"],
    ["set transaction read only"],
  ])(
    "that is read-only by %s refuses a write, and has a ledger row without one",
    async ([begin = ""], { database, target }) => {
      const reads = makeMigration(
        "0001_reads",
        2_000,
        begin,
        "select count(*) from logs",
        "commit",
      );
      const writes = makeMigration("0001_writes", 2_000, begin, log("own"), "commit");

      await run(target, makeBundle(logs));
      const refused = await run(target, makeBundle(logs, writes, after));
      await run(target, makeBundle(logs, reads));
      const report = await run(target, makeBundle(logs, reads, after));

      expect(refused).toMatchObject({ status: "failed", error: { sqlstate: "25006" } });
      expect(report).toMatchObject({
        status: "applied",
        applied: [{ tag: after.tag }],
      });
      expect(
        await database.sql("select count(*)::int as rows from drizzle.__drizzle_migrations"),
      ).toEqual([{ rows: 3 }]);
    },
  );

  test("is one with the files around it where its BEGIN asks for nothing, up to its COMMIT", async ({
    target,
  }) => {
    const plain = ["BEGIN", "begin work", "START TRANSACTION"].map((begin, index) =>
      makeMigration(`000${index + 1}_plain`, 2_000 + index, begin, log("own")),
    );
    const committed = makeMigration("0004_committed", 3_000, "begin", log("own"), "commit");

    const report = await run(target, makeBundle(logs, ...plain, committed), {
      transaction: "all",
    });

    expect(report).toMatchObject({ status: "applied", atomic: true, cuts: [] });
  });

  test("keeps its savepoints", async ({ database, target }) => {
    const saved = makeMigration(
      "0001_saved",
      2_000,
      ...["savepoint a", log("undone"), "rollback to savepoint a", "release savepoint a"],
      log("kept"),
    );

    expect(await run(target, makeBundle(logs, saved))).toMatchObject({
      status: "applied",
      atomic: true,
    });
    expect(await database.sql("select file from logs")).toEqual([{ file: "kept" }]);
  });

  describe.each(["drizzle", "statements"])("of %s", (executor) => {
    test.for([
      ["savepoint a", "rollback to a"],
      ["SAVEPOINT a; savepoint b; savepoint A", "rollback to savepoint a"],
      ['savepoint "A b"; release "A b"; savepoint "C d"', 'rollback to savepoint "C d"'],
      ["savepoint a; savepoint b; rollback work to savepoint a", "release a"],
    ] satisfies [string, string][])(
      "does not let a file go back to the savepoint of an earlier one: %s",
      async ([saves, back], { database, target }) => {
        const saving = makeMigration("0001_saving", 2_000, `${saves}; ${log("saving")}`);
        const going = makeMigration("0002_going", 3_000, back);

        const failed = await run(target, makeBundle(logs, saving, going), { executor });
        const report = await run(target, makeBundle(logs, saving), { executor });

        expect(failed).toMatchObject({ status: "failed", error: { sqlstate: "3B001" } });
        expect(report).toMatchObject({ status: "applied", executor, atomic: true });
        expect(await database.sql("select file from logs")).toEqual([{ file: "saving" }]);
      },
    );
  });

  test("does not undo the files before it by a ROLLBACK", async ({ database, target }) => {
    const taken = makeMigration("0001_taken", 2_000, log("taken back"), "rollback", log("kept"));

    expect(await run(target, makeBundle(logs, taken, after))).toMatchObject({ status: "applied" });
    expect(await database.sql("select file from logs")).toEqual([
      { file: "kept" },
      { file: "after" },
    ]);
  });

  test.for([["prepare transaction 'x'"], ["commit prepared 'x'"], ["rollback prepared 'x'"]])(
    "is not handed over by %s: the folder is refused with file, line and way out",
    async ([sql = ""]) => {
      const folder = mkdtempSync(join(tmpdir(), "two-phase-"));
      writeJournaledFolder(folder, [{ tag: "0000_two", when: 1_000, sql: `select 1;\n  ${sql};` }]);

      await expect(compileBundle(folder)).rejects.toMatchObject({
        code: "TWO_PHASE_COMMIT",
        message: expect.stringMatching(/0000_two\.sql:2:3: .* Write COMMIT/),
        facts: { migration: "0000_two", statement: { index: 2, line: 2, column: 3 } },
      });
    },
  );
});

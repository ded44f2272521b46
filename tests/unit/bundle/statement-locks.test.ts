import { expect, test } from "vitest";
import { locksOf } from "../../../lib/bundle/statement-locks.ts";
import { describePending } from "../../../lib/report/report.ts";
import { LOCK_SECTIONS } from "../../setup/lock-samples.ts";
import { makeMigration } from "../../setup/make-migration.ts";

/** The lines for the last of some statements. @param done number of those that an earlier run has done */
function linesFor(statements: readonly string[], done = 0): readonly string[] {
  const migration = makeMigration("0000_it", 1, ...statements);
  const locks = locksOf([migration], [describePending(migration, [], done)]);
  return locks.linesFor("0000_it", statements.length - 1).map(({ text }) => text);
}

test.each(LOCK_SECTIONS.flatMap(({ samples }) => samples))(
  "says of %s whom the locks keep waiting, and how a name leads to what it does not name",
  (_name, sql) => {
    const { statements } = makeMigration("0000_it", 1, sql);
    const touches = (statements[0]?.touches ?? []).filter(({ lock }) => lock !== undefined);
    const lines = linesFor([sql]);

    for (const [at, { kind, name }] of touches.entries()) {
      expect(lines[at]).toMatch(/^[A-Z ]+ on .*: .*(?:wait|go on|same rows)$/);
      // A kind of several words is a way that leads somewhere else.
      if (/-(?:of|linked|referencing|read|with|reading)|partition/.test(kind)) {
        expect(lines[at]).not.toMatch(new RegExp(` on (?:\\w+\\.)?${name}:`));
      }
    }
  },
);

test.each([
  ["a table that is there", ["alter table t add c int"], 0, 1],
  ["a table that is made before it", ["create table t ()", "alter table t add c int"], 0, 0],
  ["the same in the schema public", ["create table t ()", "alter table public.t add c int"], 0, 0],
  ["one of that name in another schema", ["create table t ()", "alter table s.t add c int"], 0, 1],
  ["one that may be there", ["create table if not exists t ()", "alter table t add c int"], 0, 1],
  ["one that an earlier run has made", ["create table t ()", "alter table t add c int"], 1, 1],
  ["the copy of a query", ["create table t as select 1", "create index on t (a)"], 0, 0],
  ["a block of code", ["do $$ begin end $$"], 0, 1],
] as const)("knows %s", (_case, statements, done, lines) => {
  expect(linesFor(statements, done)).toHaveLength(lines);
});

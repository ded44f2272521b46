import { describe, expect, test } from "vitest";
import { matchRows } from "../../../lib/plan/match.ts";
import { makeBundle, makeMigration, rowOf } from "../../setup/make-migration.ts";

const first = makeMigration("0000_first", 1_000, "create table a ()");
const second = makeMigration("0001_second", 2_000, "create table b ()");

describe("matchRows", () => {
  test("prefers the row with time and hash over one with the time alone", () => {
    const twin = makeMigration("0001_twin", 1_000, "create table twin ()");
    const edited = rowOf(first, 1, { hash: "e".repeat(64) });
    const exact = rowOf(twin, 2);

    const { rowOf: matched, unknown } = matchRows(makeBundle(first, twin), [edited, exact]);

    expect(matched.get(twin)).toBe(exact);
    expect(matched.get(first)).toBe(edited);
    expect(unknown).toEqual([]);
  });

  test("gives one row to one migration only, also where two share time and text", () => {
    const one = makeMigration("0000_empty", 1_000, "");
    const other = makeMigration("0001_empty", 1_000, "");

    const { rowOf: matched } = matchRows(makeBundle(one, other), [rowOf(one, 1)]);

    expect([...matched.keys()]).toEqual([one]);
  });

  test("matches by hash alone where exactly one of each is left, and says so", () => {
    const moved = rowOf(first, 7, { when: 9_999 });

    const { rowOf: matched, warnings } = matchRows(makeBundle(first, second), [
      moved,
      rowOf(second, 8),
    ]);

    expect(matched.get(first)).toBe(moved);
    expect(warnings.map(({ code }) => code)).toEqual(["MATCHED_BY_HASH"]);
  });

  test("does not guess by hash where two empty migrations could be meant", () => {
    const one = makeMigration("0000_empty", 1_000, "");
    const other = makeMigration("0001_empty", 2_000, "");
    const stray = rowOf(one, 1, { when: 9_999 });

    const { rowOf: matched, unknown } = matchRows(makeBundle(one, other), [stray]);

    expect(matched.size).toBe(0);
    expect(unknown).toEqual([stray]);
  });

  test("does not take a repeated row for a migration that it does not know", () => {
    const { unknown, warnings } = matchRows(makeBundle(first), [rowOf(first, 1), rowOf(first, 2)]);

    expect(unknown).toEqual([]);
    expect(warnings.map(({ code }) => code)).toEqual(["LEDGER_REPEATED_ROWS"]);
  });

  test("never matches a row without a time by its time", () => {
    const row = rowOf(first, 1, { when: null, hash: "a".repeat(64) });

    const { rowOf: matched, unknown } = matchRows(makeBundle(first), [row]);

    expect(matched.size).toBe(0);
    expect(unknown).toEqual([row]);
  });

  test("gives no row away by its time where another row holds the text", () => {
    // Dated later in the journal, as drizzle-kit up asks for: each has the time that the next one had.
    const migrations = [0, 1, 2].map((index) =>
      makeMigration(`000${index}`, index * 1_000, `create table t${index} ()`),
    );
    const rows = migrations.map((migration, index) =>
      rowOf(migration, index, { when: [0, 0, 1_000][index] ?? null }),
    );

    for (const layout of ["0.x", "1.0"] as const) {
      const matching = matchRows({ ...makeBundle(...migrations), layout }, rows);
      expect([...matching.rowOf.values()].map(({ id }) => id).sort()).toEqual([0, 1, 2]);
      for (const [{ hash }, row] of matching.rowOf) expect(row.hash).toBe(hash);
    }
  });

  test("takes all migrations of one text for applied where there is a row for each", () => {
    const one = makeMigration("0000_empty", 1_000, "");
    const other = makeMigration("0001_empty", 2_000, "");

    const { rowOf: matched, unknown } = matchRows(makeBundle(one, other), [
      rowOf(one, 1, { when: 8_888 }),
      rowOf(other, 2, { when: 9_999 }),
    ]);

    expect([matched.size, unknown]).toEqual([2, []]);
  });

  test("takes whole seconds for the time where the text is the same: a 1.0 folder was rolled back", () => {
    const migration = makeMigration("0000_first", 1_234, "create table a ()");

    const { rowOf: matched, warnings } = matchRows(makeBundle(migration), [
      rowOf(migration, 1, { when: 1_000 }),
    ]);

    expect([matched.size, warnings]).toEqual([1, []]);
  });
});

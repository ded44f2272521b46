import { describe, expect, test } from "vitest";
import {
  checkpointOf,
  editedStatements,
  interruptedStatement,
} from "../../../lib/ledger/checkpoints.ts";
import { makeMigration } from "../../setup/make-migration.ts";

function stoppedIn(...statements: readonly string[]) {
  return checkpointOf(makeMigration("0000_half", 1_000, ...statements), 1, 1);
}

describe("interruptedStatement", () => {
  const build = "create index concurrently i on t (a)";

  test("is the one that was begun, as long as it stands there", () => {
    const same = makeMigration("0000_half", 1_000, "select 1", build, "select 3");

    expect(interruptedStatement(same, stoppedIn("select 1", build))).toBe(1);
  });

  test("is none where another statement stands in its place", () => {
    const edited = makeMigration("0000_half", 1_000, "select 1", "create index i on t (a)");

    expect(interruptedStatement(edited, stoppedIn("select 1", build))).toBeNull();
  });

  test("is none where no statement stands in its place", () => {
    const shorter = makeMigration("0000_half", 1_000, "select 1");

    expect(interruptedStatement(shorter, stoppedIn("select 1", build))).toBeNull();
  });

  test("stays in doubt, whatever stands there, where the catalog cannot tell its outcome", () => {
    const edited = makeMigration("0000_half", 1_000, "select 1", "select 2");

    expect(interruptedStatement(edited, stoppedIn("select 1", "call fill()"))).toBe(1);
  });

  test("is none without a checkpoint", () => {
    const migration = makeMigration("0000_half", 1_000, "select 1");

    expect(interruptedStatement(migration, undefined)).toBeNull();
    expect(interruptedStatement(migration, checkpointOf(migration, 1, null))).toBeNull();
  });
});

describe("the checkpoint of a long file", () => {
  const build = "create index concurrently i on t (a)";
  const texts = Array.from({ length: 200 }, (_, index) => `select ${index}`);
  const long = makeMigration("0000_long", 1_000, ...texts, build);
  const changed = (index: number) =>
    makeMigration("0000_long", 1_000, ...texts.with(index, "select 'edited'"), build);
  /** As it was written before statements shared digests. */
  const earlier = {
    ...checkpointOf(long, 200, 200),
    digests: long.statements.map(({ digest }) => digest).join(""),
  };

  test("does not grow with each of its statements", () => {
    const lengths = [64, 128, 192].map((done) => checkpointOf(long, done, null).digests.length);

    expect(lengths).toEqual([12, 24, 36]);
    expect(checkpointOf(long, 200, 200).digests).toHaveLength((3 + 8 + 1) * 12);
  });

  test.each([
    [0, { from: 0, size: 64 }],
    [191, { from: 128, size: 64 }],
    [192, { from: 192, size: 1 }],
    [199, { from: 199, size: 1 }],
  ])("tells whereabouts statement %i was edited", (index, range) => {
    expect(editedStatements(changed(index), checkpointOf(long, 200, null))).toEqual(range);
    expect(editedStatements(long, checkpointOf(long, 200, null))).toBeNull();
  });

  test("tells exactly where an earlier version has written it", () => {
    expect(editedStatements(long, earlier)).toBeNull();
    expect(editedStatements(changed(100), earlier)).toEqual({ from: 100, size: 1 });
  });

  test("knows the statement that was begun, whoever has written it", () => {
    const other = makeMigration("0000_long", 1_000, ...texts, "create index j on t (a)");

    for (const checkpoint of [earlier, checkpointOf(long, 200, 200)]) {
      expect(interruptedStatement(long, checkpoint)).toBe(200);
      expect(interruptedStatement(other, checkpoint)).toBeNull();
    }
  });
});

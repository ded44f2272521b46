import { describe, expect, test } from "vitest";
import { checkpointOf, interruptedStatement } from "../../lib/checkpoints.ts";
import { makeMigration } from "./make-migration.ts";

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

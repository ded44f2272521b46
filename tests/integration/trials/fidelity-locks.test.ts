import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { renderLocks } from "../../trials/fidelity/lock-render.ts";
import { type LockStage, openLockStage } from "../../trials/fidelity/lock-stage.ts";
import { tryLocks } from "../../trials/fidelity/lock-trial.ts";

const FIXTURES = "tests/fixtures/fidelity";
const FOLDERS = ["drizzle", ...readdirSync(FIXTURES).map((name) => `${FIXTURES}/${name}`)];

let stage: LockStage;

beforeAll(async () => {
  preferMemory();
  stage = await openLockStage();
  return () => stage.close();
});

describe("the locks that a rehearsal reports", () => {
  test.each(FOLDERS)("are those that PostgreSQL has in %s, and no others", async (folder) => {
    const result = await tryLocks(stage, folder, [0.25, 0.5, 0.75]);

    const differences = result.splits.flatMap(({ wrong, missing }) => [...wrong, ...missing]);
    expect(differences, renderLocks(result).join("\n")).toEqual([]);
    expect(result.splits.some(({ statements }) => statements > 0)).toBe(true);
  });

  test("differ where the observer is not told which tables are connected", async () => {
    const result = await tryLocks(
      stage,
      `${FIXTURES}/reaches`,
      [0.25],
      (relations) =>
        new Map(Array.from(relations, ([oid, each]) => [oid, { ...each, connected: null }])),
    );

    expect(result.splits[0]?.wrong).not.toEqual([]);
    expect(result.splits[0]?.missing).not.toEqual([]);
  });
});

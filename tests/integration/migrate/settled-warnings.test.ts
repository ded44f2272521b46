import { describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { readBundle } from "../../../lib/bundle/read-bundle.ts";
import { portable } from "../../../lib/compile/asset.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import type { WrittenMigration } from "../../setup/folders.ts";
import { drizzle0, drizzle1, type Line, useInterop } from "../../setup/interop.ts";
import { run, targetOf } from "../../setup/run.ts";

const interop = useInterop();

const DAY = 86_400_000;
const FUTURE = Date.UTC(2199, 0, 1);
const CONFLICT = "/*\n<<<<<<< ours\n=======\n>>>>>>> theirs\n*/";

function migrationsOf(...whens: readonly number[]): readonly WrittenMigration[] {
  return whens.map((when, index) => ({
    tag: `000${index}_m${index}`,
    when,
    sql: `CREATE TABLE t${index} ();`,
  }));
}

/** Makes the bundle of a folder as a function gets it: a text. */
async function shipped(line: Line, migrations: readonly WrittenMigration[]): Promise<string> {
  const folder = interop.folderOf(line, migrations);
  return JSON.stringify(portable(await compileBundle(folder), folder));
}

async function codesOf(bundle: string, request: object): Promise<readonly string[]> {
  const relay = await interop.database.startRelay();
  const target = targetOf(interop.database.url, relay.address);
  const report = await run(target, readBundle(JSON.parse(bundle)), request);
  expect(report.error?.message).toBe(undefined);
  return report.warnings.map(({ code }) => code);
}

describe("a warning about a migration's file or time", () => {
  test.each<readonly [string, Line, readonly WrittenMigration[], string]>([
    ["an earlier time", drizzle0, migrationsOf(2 * DAY, DAY), "JOURNAL_ORDER"],
    ["seconds", drizzle0, migrationsOf(1_767_225_600), "JOURNAL_TIME"],
    ["the future", drizzle0, migrationsOf(FUTURE), "JOURNAL_TIME"],
    [
      "a folder of the future",
      drizzle1,
      [{ tag: "21990101000000_far", when: FUTURE, sql: "CREATE TABLE far ();" }],
      "JOURNAL_TIME",
    ],
    [
      "a merge conflict in a comment",
      drizzle0,
      [{ tag: "0000_m0", when: DAY, sql: `${CONFLICT}\nCREATE TABLE t0 ();` }],
      "MERGE_CONFLICT",
    ],
  ])("is told until the ledger has it, and not behind that: %s", async (_, line, all, code) => {
    const bundle = await shipped(line, all);

    const first = [
      await codesOf(bundle, { action: "status" }),
      await codesOf(bundle, { action: "plan", outOfOrder: "apply" }),
      await codesOf(bundle, { outOfOrder: "apply" }),
    ];
    const later = [
      await codesOf(bundle, { action: "status" }),
      await codesOf(bundle, { action: "plan" }),
      await codesOf(bundle, {}),
    ];

    expect(first).toEqual([[code], [code], [code]]);
    expect(later).toEqual([[], [], []]);
  });

  test("is told as long as one of those that it is about is pending", async () => {
    const one = await shipped(drizzle0, migrationsOf(FUTURE));
    const two = await shipped(drizzle0, migrationsOf(FUTURE, FUTURE + 1));
    await codesOf(one, {});

    const pending = await codesOf(two, { action: "plan" });
    await codesOf(two, {});

    expect([pending, await codesOf(two, {})]).toEqual([["JOURNAL_TIME"], []]);
  });

  test("is told for ever by a bundle that does not say what it is about", async () => {
    const { warnings, ...rest }: Bundle = JSON.parse(await shipped(drizzle0, migrationsOf(FUTURE)));
    const old = { ...rest, warnings: warnings.map(({ settledBy: _, ...warning }) => warning) };
    const odd = { ...rest, warnings: warnings.map((each) => ({ ...each, settledBy: "0000_m0" })) };

    await codesOf(JSON.stringify(old), {});

    expect(await codesOf(JSON.stringify(old), {})).toEqual(["JOURNAL_TIME"]);
    expect(await codesOf(JSON.stringify(odd), {})).toEqual(["JOURNAL_TIME"]);
  });

  test("about a file of no migration is told always", async () => {
    const bundle: Bundle = JSON.parse(await shipped(drizzle0, migrationsOf(DAY)));
    const orphan = { code: "ORPHAN_FILE", message: "drizzle/x.sql is not one of the migrations." };
    const text = JSON.stringify({ ...bundle, warnings: [orphan] });

    await codesOf(text, {});

    expect(await codesOf(text, {})).toEqual(["ORPHAN_FILE"]);
  });
});

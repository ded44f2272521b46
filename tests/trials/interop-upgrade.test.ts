import { execFile } from "node:child_process";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Report } from "../../lib/report/report.ts";
import { upgradeFolder } from "../drizzle-1/drizzle.ts";
import { copyExample, raiseTimes, setTimes } from "../setup/folders.ts";
import { drizzle0, drizzle1, useInterop } from "../setup/interop.ts";

const KIT_0 = "node_modules/drizzle-kit/bin.cjs";
const ALL = 11;

const interop = useInterop();
let upgraded: string;
/** What `drizzle-kit up` calls the example's migrations. */
let names: readonly string[];

beforeAll(async () => {
  upgraded = journaled(ALL);
  await upgradeFolder(upgraded);
  names = namesIn(upgraded);
});

/** The example's folder as a team can move it: every entry dated a second after the one before. */
function journaled(count: number): string {
  const folder = interop.newFolder();
  copyExample(folder, count);
  raiseTimes(folder);
  return folder;
}

/** The same behind `drizzle-kit up`. */
function named(count: number): string {
  const folder = interop.newFolder();
  for (const name of names.slice(0, count)) {
    cpSync(join(upgraded, name), join(folder, name), { recursive: true });
  }
  return folder;
}

function namesIn(folder: string): readonly string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((each) => (each.isDirectory() ? [each.name] : [])).sort();
}

async function bundledNames(folder: string): Promise<readonly string[]> {
  return (await compileBundle(folder)).migrations.map(({ name }) => name);
}

const tagsOf = (migrations: readonly { readonly tag: string }[]) =>
  migrations.map(({ tag }) => tag);

/** Whether Drizzle 1.0 and we both find nothing to do. */
async function expectNothingPending(count = ALL): Promise<void> {
  const before = await interop.ledger();
  await interop.byDrizzle(drizzle1, named(count));
  expect(await interop.ledger()).toEqual(before);
  const report = await interop.byUs(named(count));
  expect(report).toMatchObject({ status: "up-to-date", warnings: [] });
  expect(before.map(({ name }) => name)).toEqual(names.slice(0, count));
}

/** The statements that a warning offers. */
function statementsIn({ warnings }: Report): string {
  return warnings
    .map(({ message }) => /on this database: (.*)$/s.exec(message)?.[1] ?? "")
    .join("");
}

/** One migration, as drizzle-kit 0.31 generates it. */
async function generated(prefix: string): Promise<string> {
  const folder = interop.newFolder();
  await promisify(execFile)(process.execPath, [
    ...[KIT_0, "generate", "--custom", "--name", "Add my_table v2", "--prefix", prefix],
    ...["--dialect", "postgresql", "--schema", "drizzle/schema.ts", "--out", folder],
  ]);
  return folder;
}

describe("drizzle-kit up", () => {
  test("names a folder as the bundle of the 0.x layout does, whatever the prefix", async () => {
    const prefixes = ["index", "supabase", "unix"];
    const folders = await Promise.all(prefixes.map(generated));
    const expected = await Promise.all(folders.map(bundledNames));

    await Promise.all(folders.map(upgradeFolder));

    expect(folders.map(namesIn)).toEqual(expected);
    expect(await Promise.all(folders.map(bundledNames))).toEqual(expected);
  });

  test("names every folder of a long history so", async () => {
    expect(await bundledNames(journaled(ALL))).toEqual(names);
  });

  test("puts two migrations of one second where the bundle has them", async () => {
    const folder = interop.newFolder();
    copyExample(folder, 3);
    setTimes(folder, [1_000_000_000_100, 1_000_000_001_100, 1_000_000_001_500]);
    const expected = await bundledNames(folder);
    await interop.byUs(folder);

    await upgradeFolder(folder);

    expect(await bundledNames(folder)).toEqual(expected);
    expect(await interop.byUs(folder)).toMatchObject({ status: "up-to-date", warnings: [] });
    await interop.byDrizzle(drizzle1, folder);
    expect((await interop.ledger()).map(({ name }) => name)).toEqual(expected);
  });
});

describe("a project that moves to the layout 1.0 between two deployments", () => {
  test("is continued by us, and then by Drizzle 1.0, which upgrades the ledger", async () => {
    await interop.byUs(journaled(6));

    const report = await interop.byUs(named(ALL));

    expect(report).toMatchObject({ status: "applied", warnings: [], ledger: { format: "0.x" } });
    expect(tagsOf(report.applied)).toEqual(names.slice(6));
    await interop.byDrizzle(drizzle1, named(ALL));
    expect((await interop.ledger()).map(({ applied_at }) => applied_at)).toEqual(
      names.map(() => null),
    );
    await expectNothingPending();
  });

  test("is continued by us where Drizzle 1.0 has upgraded the ledger first", async () => {
    await interop.byDrizzle(drizzle0, journaled(6));
    await interop.byDrizzle(drizzle1, named(7));

    const report = await interop.byUs(named(ALL));

    expect(tagsOf(report.applied)).toEqual(names.slice(7));
    expect(report).toMatchObject({ executorReason: "named-ledger", ledger: { format: "1.0" } });
    await expectNothingPending();
  });

  test("can be rolled back to the 0.x folder, and come again", async () => {
    await interop.byUs(journaled(6));
    await interop.byUs(named(8));

    const back = await interop.byUs(journaled(8));
    expect(back).toMatchObject({ status: "up-to-date", warnings: [] });
    const older = await interop.byUs(journaled(6));
    expect(older).toMatchObject({ status: "up-to-date", pending: [] });
    expect(older.drift?.unknown).toHaveLength(2);

    expect(tagsOf((await interop.byUs(named(ALL))).applied)).toEqual(names.slice(8));
    await interop.byDrizzle(drizzle1, named(ALL));
    await expectNothingPending();
  });

  test("gets names from a 0.x folder, too, where the ledger has them", async () => {
    await interop.byDrizzle(drizzle0, journaled(4));
    await interop.byDrizzle(drizzle1, named(4));

    const report = await interop.byUs(journaled(6));

    expect(report).toMatchObject({ executorReason: "named-ledger", warnings: [] });
    await expectNothingPending(6);
    await interop.byUs(journaled(ALL));
    await expectNothingPending();
  });
});

describe("a history with entries less than a second apart", () => {
  /** As drizzle-kit 0.31 has dated the example: what is applied has these times in its ledger. */
  function asGenerated(): string {
    const folder = interop.newFolder();
    copyExample(folder, ALL);
    return folder;
  }

  test("is refused by drizzle-kit up, which asks for later times in the journal", async () => {
    const folder = asGenerated();

    const refusal = upgradeFolder(folder);

    await expect(refusal).rejects.toThrow("at least one second after");
    expect(await bundledNames(folder)).toHaveLength(ALL);
  });

  test("is not run again by us once its times are raised, neither before up nor behind it", async () => {
    await interop.byDrizzle(drizzle0, asGenerated());

    for (const folder of [journaled(ALL), named(ALL)]) {
      const report = await interop.byUs(folder);
      expect(report).toMatchObject({
        status: "up-to-date",
        drift: { modified: [], unknown: [], outOfOrder: [] },
      });
    }
  });

  test("would be run again by Drizzle 1.0, which a warning says, and how to prevent it", async () => {
    await interop.byDrizzle(drizzle0, asGenerated());
    const report = await interop.byUs(named(ALL));
    expect(report.warnings.map(({ code }) => code)).toContain("LEDGER_NAME_MISSING");

    await interop.database.sqlAsOwner(statementsIn(report));

    await expectNothingPending();
    await interop.empty();
    await interop.byDrizzle(drizzle0, asGenerated());
    const again = interop.byDrizzle(drizzle1, named(ALL));
    await expect(again).rejects.toMatchObject({ cause: { code: "42710" } });
  });
});

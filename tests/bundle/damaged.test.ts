import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { type Started, startFunction } from "../../bench/speed/function-process.ts";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { bundleFiles, writeBundle } from "../../lib/compile/asset-bundle.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { makeBundle, makeMigration } from "../setup/make-migration.ts";
import { expectReport } from "../setup/report-schema.ts";

/*
 * The function with a bundle that is not whole: two builds were mixed, or a file was damaged on its way. It answers with a
 * coded error, and nothing of it is in the database.
 */

const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const third = makeMigration("0002_third", 3_000, "insert into notes values (3)");
/** Builds of which every file is as long as that of `whole`. */
const whole = makeBundle(first, second, third);
const another = makeBundle(
  first,
  makeMigration("0001_second", 2_000, "insert into notes values (2)"),
  third,
);

let database: TestDatabase;
let environment: Record<string, string>;
let scratch: string;
let folder: string;

beforeEach(async () => {
  database = await createTestDatabase();
  environment = await database.functionEnvironment();
  scratch = mkdtempSync(join(tmpdir(), "damaged-"));
  folder = join(scratch, "whole");
  cpSync(inject("assetFolder"), folder, { recursive: true });
  await write(whole);
});

afterEach(async () => {
  rmSync(scratch, { recursive: true });
  await database.close();
});

async function write(bundle: Bundle, into: string = folder): Promise<void> {
  await writeBundle(bundleFiles(bundle), into);
}

async function call(event: object = {}): Promise<ReturnType<typeof expectReport>> {
  const own = { ...event, onFailure: "return" };
  const started: Started = await startFunction({
    ...{ folder, environment, memoryMb: null, event: own },
  });
  return expectReport(started.answer);
}

/** Every table and schema that somebody has made. */
async function made(): Promise<readonly unknown[]> {
  return await database.sql(
    `select relname from pg_class where oid >= 16384 and relkind = 'r'
     union all select nspname from pg_namespace where oid >= 16384 and nspname !~ '^pg_'`,
  );
}

const MIGRATIONS = "migrations.jsonl";

/** Changes the line of a migration in a file, the first of which is 1. */
function edit(line: number, change: (text: string) => string): void {
  const file = join(folder, MIGRATIONS);
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, lines.map((each, at) => (at === line ? change(each) : each)).join("\n"));
}

describe("before anything is sent, the function refuses a bundle", () => {
  test.each<[string, string, () => void | Promise<void>]>([
    ["without its migrations", "BUNDLE_MISSING", () => rmSync(join(folder, MIGRATIONS))],
    ["without its head", "BUNDLE_MISSING", () => rmSync(join(folder, "bundle.json"))],
    [
      "whose migrations are cut",
      "BUNDLE_INVALID",
      () => truncateSync(join(folder, MIGRATIONS), 1_200),
    ],
    [
      "whose index has another byte",
      "BUNDLE_INVALID",
      () => edit(0, (text) => text.replace("0002_third", "0002_thirD")),
    ],
    [
      "whose last migration has another byte",
      "BUNDLE_INVALID",
      () => edit(3, (text) => text.replace("values (3)", "values (4)")),
    ],
    ["two of whose migrations have changed places", "BUNDLE_INVALID", () => swapLines()],
    ["with the head of another build", "BUNDLE_INVALID", () => mix("bundle.json")],
    ["with the migrations of another build", "BUNDLE_INVALID", () => mix(MIGRATIONS)],
    ["with a migration of another build", "BUNDLE_INVALID", () => mixLine()],
  ])("%s", async (_name, code, damage) => {
    await damage();

    const each = await call({ transaction: "each" });
    const planned = await call({ action: "plan" });

    expect([each.error?.code, planned.error?.code]).toEqual([code, code]);
    expect(each.error?.message).toMatch(/"neon-migrate bundle"/);
    expect(await made()).toEqual([]);
  });
});

function swapLines(): void {
  const [, , two = "", three = ""] = readFileSync(join(folder, MIGRATIONS), "utf8").split("\n");
  edit(2, () => three);
  edit(3, () => two);
}

async function mix(name: string): Promise<void> {
  const other = join(scratch, "other");
  cpSync(folder, other, { recursive: true });
  await write(another, other);
  cpSync(join(other, name), join(folder, name));
}

function mixLine(): void {
  const other = bundleFiles(another)[1].content;
  // The index, and each migration, is followed by the end of its line.
  edit(2, () => String(other[4]));
}

describe("what nobody needs is not read, so that its damage harms nobody", () => {
  test("where nothing is pending", async () => {
    expect((await call()).status).toBe("applied");
    const { length } = readFileSync(join(folder, MIGRATIONS));
    writeFileSync(join(folder, MIGRATIONS), "x".repeat(length));

    expect(await call()).toMatchObject({ status: "up-to-date", latest: "0002_third" });
    expect((await call({ action: "status" })).error?.code).toBe("BUNDLE_INVALID");
  });

  test("where another migration is pending", async () => {
    await write(makeBundle(first, second));
    await call();
    await write(whole);
    edit(1, (text) => text.replace("create", "CREATE"));

    expect(await call()).toMatchObject({ status: "applied", applied: [{ tag: "0002_third" }] });
    expect(await database.sql("select id from notes order by id")).toEqual([{ id: 1 }, { id: 3 }]);
    expect(await call({ action: "status" })).toMatchObject({
      ...{
        status: "up-to-date",
        applied: [{ statements: 1 }, { statements: 1 }, { statements: 1 }],
      },
    });
  });
});

test("an older function's bundle in one file is applied", async () => {
  rmSync(join(folder, MIGRATIONS));
  writeFileSync(join(folder, "bundle.json"), JSON.stringify(whole));

  expect(await call()).toMatchObject({ status: "applied", latest: "0002_third" });
});

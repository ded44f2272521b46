import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  onTestFinished,
  test,
} from "vitest";
import { type Started, startFunction } from "../../bench/speed/function-process.ts";
import { memoryFor } from "../../lib/bundle/memory.ts";
import { sizeOfBundle } from "../../lib/bundle/open-bundle.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { writeJournaledFolder } from "../setup/folders.ts";
import { expectReport } from "../setup/report-schema.ts";

const MB = 1024 ** 2;

/** A statement of a length, whose text is in one literal. One character that is no Latin makes all of them twice as long. */
const insert = (bytes: number, wide = false) =>
  `insert into big values (length('${wide ? "€" : ""}${"x".repeat(bytes)}'));`;

/** The statements of each migration. */
const KINDS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "a statement of 100 MB": [[insert(100 * MB)]],
  "a statement of 100 MB, not all Latin": [[insert(100 * MB, true)]],
  "200 MB in 200 files": Array.from({ length: 200 }, () => Array(10).fill(insert(MB / 10))),
  "80,000 statements in 20 files": Array.from({ length: 20 }, () =>
    Array(4_000).fill("insert into big values (1);"),
  ),
};

let scratch: string;
let database: TestDatabase;
let environment: Record<string, string>;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "sizes-"));
});

afterAll(() => rmSync(scratch, { recursive: true }));

beforeEach(async () => {
  database = await createTestDatabase();
  environment = await database.functionEnvironment();
  return () => database.close();
});

/** Compiles migrations behind one that makes their table. */
async function assetOf(name: string, statements: readonly (readonly string[])[]): Promise<string> {
  const [folder, out] = [join(scratch, name, "drizzle"), join(scratch, name, "out")];
  mkdirSync(folder, { recursive: true });
  const texts = [["create table big (n integer);"], ...statements];
  const migrations = texts.map((each, index) => ({
    tag: `${String(index).padStart(5, "0")}_big`,
    when: 1_700_000_000_000 + index,
    sql: each.join("\n"),
  }));
  writeJournaledFolder(folder, migrations);
  await writeAsset(await compileBundle(folder), out, inject("assetFolder"));
  rmSync(folder, { recursive: true });
  return out;
}

describe.each(Object.keys(KINDS))("%s", (kind) => {
  let folder: string;
  let memoryMb: number;

  beforeAll(async () => {
    folder = await assetOf(kind, KINDS[kind] ?? []);
    memoryMb = memoryFor(sizeOfBundle(join(folder, "bundle.json")));
    return () => rmSync(folder, { recursive: true });
  });

  async function started(event: object): Promise<Started> {
    const own = { ...environment, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb) };
    return await startFunction({ folder, environment: own, memoryMb, event });
  }

  test.each(["drizzle", "statements"])(
    "is applied by %s within the memory that is asked for, and seen",
    async (executor) => {
      const applied = await started({ executor });
      const seen = await started({ action: "status" });

      const report = expectReport(applied.answer);
      expect([report.status, report.executor]).toEqual(["applied", executor]);
      expect(expectReport(seen.answer).pending).toEqual([]);
      expect(applied.peakMb).toBeLessThan(memoryMb);
      expect(seen.peakMb).toBeLessThan(memoryMb);
      const [rows] = await database.sql("select count(*)::int as n from big");
      expect(rows?.n).toBe(KINDS[kind]?.flat().length);
    },
  );
});

test("20,000 migrations are planned, applied and listed beside 200,000 rows of others, within Lambda's 6 MB", async () => {
  const folder = await assetOf(
    "many",
    Array.from({ length: 19_999 }, (_, index) => [`insert into big values (${index});`]),
  );
  const lambda = startLambda({ handlerDirectory: folder, environment });
  onTestFinished(() => lambda.stop());
  const call = async (event: object) => {
    const { payload } = await lambda.invoke(event);
    expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThan(6 * MB);
    const { status, applied, pending, drift, error } = expectReport(payload);
    expect(error).toBeUndefined();
    return [status, applied.length, pending.length, drift.unknown.length];
  };

  expect(await call({ action: "plan" })).toEqual(["planned", 0, 20_000, 0]);
  expect(await call({})).toEqual(["applied", 20_000, 0, 0]);
  expect(await call({ action: "status" })).toEqual(["up-to-date", 20_000, 0, 0]);
  await database.sql(
    `insert into drizzle.__drizzle_migrations (hash, created_at)
     select md5(n::text) || md5(n::text), 1600000000000 + n from generate_series(1, 200000) n`,
  );
  // Of lists that are too long for an answer, a hundred entries each are told.
  expect(await call({ action: "plan" })).toEqual(["up-to-date", 0, 0, 100]);
  expect(await call({ action: "status" })).toEqual(["up-to-date", 100, 0, 100]);
  expect(await call({})).toEqual(["up-to-date", 0, 0, 100]);
  const { peakMb } = await startFunction({ folder, environment, memoryMb: 512 });
  expect(peakMb).toBeLessThan(512);
});

describe("a statement beyond the parser's memory", () => {
  const LONG = "x".repeat(151_000_000);

  test.each([
    ["a comment", `select 1 /* ${LONG} */ + 1`],
    ["the body of a function", `do $$ begin perform '${LONG}'; end $$`],
  ])("is named with its file and the way out: %s", async (_name, statement) => {
    const compiled = assetOf("beyond", [[`select 1;\n${statement};\n`]]);

    await expect(compiled).rejects.toMatchObject({
      code: "SQL_INVALID",
      message: expect.stringMatching(/\.sql:2:1: this statement is longer .* unparsed/),
      facts: { migration: "00001_big", statement: { index: 2 } },
    });
  });

  test("is let through unparsed, and applied", async () => {
    const folder = await assetOf("unparsed", [
      ["-- neon-migrate: unparsed", `insert into big values (length('${LONG}'));`],
    ]);
    const memoryMb = memoryFor(sizeOfBundle(join(folder, "bundle.json")));

    const { answer, peakMb } = await startFunction({ folder, environment, memoryMb });

    expect(expectReport(answer).status).toBe("applied");
    expect(peakMb).toBeLessThan(memoryMb);
    expect(await database.sql("select n from big")).toEqual([{ n: LONG.length }]);
  });
});

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { buildBare } from "../../bench/speed/bare.ts";
import { startFunction } from "../../bench/speed/function-process.ts";
import { buildLambda } from "../../build/lambda.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { makeBundle, makeMigration } from "../setup/make-migration.ts";
import { expectReport } from "../setup/report-schema.ts";

const MIGRATIONS = 300;
const STATEMENTS = 10;

let scratch: string;
let database: TestDatabase;
let environment: Record<string, string>;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "loading-"));
  database = await createTestDatabase();
  environment = await database.functionEnvironment();
});

afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await database.close();
});

describe("what every start of the function loads", () => {
  test("is at most 15 % more than driver, Drizzle and ws", async () => {
    const ours = await buildLambda(join(scratch, "ours"));
    const bareBytes = await buildBare(join(scratch, "bare"));

    expect(ours.start.bytes).toBeLessThan(1.15 * bareBytes);
  });

  test("is two files, and nothing of Node that compresses", async () => {
    const folder = inject("assetFolder");
    const url = pathToFileURL(join(folder, "index.mjs")).href;
    const script = `await import(${JSON.stringify(url)}); console.log(JSON.stringify(process.moduleLoadList))`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...["--input-type=module", "--eval", script],
    ]);

    expect(readFileSync(join(folder, "index.mjs"), "utf8")).toMatch(
      /^export\{[\w,]+\}from"\.\/part-start\.mjs";\s*$/,
    );
    expect(readFileSync(join(folder, "part-start.mjs"), "utf8")).not.toMatch(
      /(?:import|from)\s*"\.\//,
    );
    expect(JSON.parse(stdout)).toContain("NativeModule https");
    expect(JSON.parse(stdout)).not.toContain("NativeModule zlib");
  });

  test("leaves out Drizzle, without which nothing is applied and the failure is reported", async () => {
    const lacking = join(scratch, "lacking");
    cpSync(inject("assetFolder"), lacking, { recursive: true });
    const drizzle = readdirSync(lacking).filter((name) => name.startsWith("part-drizzle-"));
    for (const name of drizzle) rmSync(join(lacking, name));

    const lambda = startLambda({ handlerDirectory: lacking, environment });
    onTestFinished(() => lambda.stop());
    const { payload } = await lambda.invoke({});

    expect(drizzle).not.toEqual([]);
    expect(payload).toMatchObject({ errorType: "INTERNAL" });
    expect(await database.sql("select 1 from pg_namespace where nspname = 'drizzle'")).toEqual([]);
  });

  test("leaves out fleets: a function for one database runs without their files and settings", async () => {
    const lacking = join(scratch, "without-fleets");
    cpSync(inject("assetFolder"), lacking, { recursive: true });
    const isFleets = (name: string) =>
      /FLEET_BUCKET is not set/.test(readFileSync(join(lacking, name), "utf8")) ||
      name.startsWith("aws-sdk-client-s3");
    const fleets = readdirSync(lacking).filter((name) => name.endsWith(".mjs") && isFleets(name));
    for (const name of fleets) rmSync(join(lacking, name));

    const lambda = startLambda({ handlerDirectory: lacking, environment });
    onTestFinished(() => lambda.stop());
    const [plain, aimed] = [
      await lambda.invoke({ action: "status" }),
      await lambda.invoke({ target: {} }),
    ];

    expect(fleets).toHaveLength(2);
    expect(expectReport(plain.payload)).toMatchObject({
      target: null,
      database: { name: database.name },
    });
    expect(aimed.payload).toMatchObject({ errorType: "INTERNAL" });
  });
});

describe("a function of 128 MB", () => {
  test(`applies ${MIGRATIONS} migrations within its memory, and sees them applied`, async () => {
    const folder = join(scratch, "many");
    await writeAsset(manyMigrations(), folder, inject("assetFolder"));
    const start = { folder, environment, memoryMb: 128 };

    const first = await startFunction(start);
    const second = await startFunction(start);

    expect(expectReport(first.answer).applied).toHaveLength(MIGRATIONS);
    expect(expectReport(second.answer).status).toBe("up-to-date");
    expect(first.peakMb).toBeLessThan(128);
    expect(second.peakMb).toBeLessThan(128);
  });
});

describe("a bundle and the memory of the function", () => {
  // The file has a length and no content: it is refused, or not, before it is read.
  test.each<[number, string | undefined, string, RegExp]>([
    [20, "128", "BUNDLE_TOO_LARGE", /has 128 MB .* needs 191 MB for its bundle of 20\.0 MB/],
    [200, "512", "BUNDLE_TOO_LARGE", /has 512 MB .* needs 1091 MB for its bundle of 200\.0 MB/],
    [200, "1090", "BUNDLE_TOO_LARGE", /MB\. Nothing was run\./],
    [20, "191", "BUNDLE_INVALID", /is damaged/],
    [20, undefined, "BUNDLE_INVALID", /is damaged/],
  ])("%i MB with a memory of %s MB: %s", async (megabytes, memory, code, message) => {
    const folder = join(scratch, `${megabytes}-${memory}`);
    cpSync(inject("assetFolder"), folder, { recursive: true });
    truncateSync(join(folder, "migrations.jsonl"), megabytes * 1024 ** 2);
    const fresh = await createTestDatabase();
    onTestFinished(() => fresh.close());
    const own = memory === undefined ? {} : { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memory };

    const { answer } = await startFunction({
      folder,
      environment: { ...(await fresh.functionEnvironment()), ...own },
      memoryMb: null,
      event: { onFailure: "return" },
    });

    expect(expectReport(answer).error).toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await fresh.sql("select 1 from pg_namespace where nspname = 'drizzle'")).toEqual([]);
  });
});

function manyMigrations() {
  return makeBundle(
    makeMigration("0000_table", 1, "create table many (id integer)"),
    ...Array.from({ length: MIGRATIONS - 1 }, (_, index) =>
      makeMigration(
        `${String(index + 1).padStart(4, "0")}_rows`,
        index + 2,
        ...Array.from({ length: STATEMENTS }, (__, row) => `insert into many values (${row})`),
      ),
    ),
  );
}

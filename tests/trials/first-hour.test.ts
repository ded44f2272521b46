import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { writeJournaledFolder } from "../setup/folders.ts";
import { installPackage, linkPackages } from "../setup/packed.ts";

/** A program's end, with all that it has printed. */
interface Ended {
  readonly code: number;
  readonly output: string;
}

const CONFIG = `import { defineConfig } from "drizzle-kit";
export default defineConfig({
  dialect: "postgresql",
  out: "./db/migrations",
  migrations: { schema: "app_meta", table: "my_migrations" },
  dbCredentials: { url: process.env.DATABASE_URL ?? "" },
});
`;

const OLD = [
  { tag: "0000_users", when: 1_700_000_000_000, sql: "CREATE TABLE users (id integer);" },
  { tag: "0001_names", when: 1_700_000_001_000, sql: "ALTER TABLE users ADD COLUMN name text;" },
];
const NEW = {
  tag: "0002_cities",
  when: 1_700_000_002_000,
  sql: "CREATE TABLE cities (id integer);",
};

const KIT = resolve("node_modules/drizzle-kit/bin.cjs");

let scratch = "";
let app = "";
let database: TestDatabase;
let environment: Record<string, string | undefined> = {};

function run(program: string, words: readonly string[]): Promise<Ended> {
  return new Promise((settle) => {
    const child = execFile(program, words, { cwd: app, env: environment }, (_, stdout, stderr) =>
      settle({ code: child.exitCode ?? 1, output: `${stdout}${stderr}` }),
    );
  });
}

/** Makes a project with names of its own, whose database drizzle-kit has migrated. It is reached as Neon's are. */
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "first-hour-"));
  app = join(scratch, "app");
  await mkdir(join(app, "node_modules"), { recursive: true });
  await linkPackages(app, "drizzle-kit", "drizzle-orm", "pg");
  database = await createTestDatabase();
  const relay = await database.startRelay({ mode: "neon" });
  environment = {
    PATH: process.env.PATH,
    HOME: scratch,
    TMPDIR: scratch,
    NEON_WS_PROXY: relay.address,
    npm_config_offline: "true",
  };
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "shop", private: true }));
  await writeFile(join(app, ".env"), `DATABASE_URL=${database.url}\n`);
  await writeFile(join(app, "drizzle.config.ts"), CONFIG);
  writeJournaledFolder(join(app, "db/migrations"), OLD);
  expect(await run(process.execPath, [KIT, "migrate"])).toMatchObject({ code: 0 });
  writeJournaledFolder(join(app, "db/migrations"), [...OLD, NEW]);
});

afterAll(async () => {
  await database.close();
  await rm(scratch, { recursive: true, force: true });
});

/** Returns the commands that the README gives to who has a drizzle.config.ts. */
async function wordsOfReadme(): Promise<readonly string[]> {
  const readme = await readFile(join(app, "node_modules/neon-lambda-migrator/README.md"), "utf8");
  const [, commands = ""] =
    /has a `drizzle\.config\.ts`[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  return commands.trim().split("\n");
}

const ledger = () =>
  database.sql(
    "select count(*)::int as rows, max(created_at)::text as newest from app_meta.my_migrations",
  );

test("GIVEN a live database and a drizzle.config.ts of its own names WHEN somebody installs the package and types what README says THEN the first try is right", async () => {
  const began = performance.now();
  await installPackage(join(scratch, "source"), app);
  const [status = "", plan = "", up = "", ...more] = await wordsOfReadme();
  expect([status, plan, up, ...more]).toEqual([
    "npx neon-migrate status",
    "npx neon-migrate plan",
    "npx neon-migrate up",
  ]);

  const seen = await run("sh", ["-c", status]);
  const planned = await run("sh", ["-c", plan]);
  expect(await ledger()).toEqual([{ rows: 2, newest: String(OLD[1]?.when) }]);
  const applied = await run("sh", ["-c", up]);
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);

  console.log(`From the installation to the migrated database: ${seconds} s.`);
  for (const { output } of [seen, planned, applied]) {
    expect(output).toContain("app_meta.my_migrations");
    expect(output).toContain("0002_cities");
  }
  expect([seen.code, planned.code, applied.code]).toEqual([0, 0, 0]);
  expect(seen.output).toContain("0001_names");
  expect(await ledger()).toEqual([{ rows: 3, newest: String(NEW.when) }]);
  expect(
    await database.sql(
      "select to_regclass('cities')::text as made, to_regnamespace('drizzle') as other",
    ),
  ).toEqual([{ made: "cities", other: null }]);
  // Drizzle's own program goes on where ours has ended.
  expect(await run(process.execPath, [KIT, "migrate"])).toMatchObject({ code: 0 });
  expect(await ledger()).toEqual([{ rows: 3, newest: String(NEW.when) }]);
});

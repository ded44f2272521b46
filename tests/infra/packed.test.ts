import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const node = (...words: readonly string[]) => run(process.execPath, words, { cwd: app, env: ENV });
const TSC = resolve("node_modules/typescript/bin/tsc");

/** Nothing of this process but the way to its programs: no loader, no account, no colours. */
const ENV = { PATH: process.env.PATH, HOME: "/nonexistent", CDK_VALIDATION: "false" };

let scratch = "";
let app = "";

const STACK = `
const app = new App();
const stack = new Stack(app, "Shop");
const secret = Secret.fromSecretNameV2(stack, "Secret", "shop/database-url");
const migrations = new NeonMigrations(stack, "Migrations", {
  migrations: "drizzle",
  databaseUrl: { secret },
  check: false,
});
const { template } = app.synth().getStackByName("Shop");
console.log(JSON.stringify([migrations.migrationsHash, Object.keys(template.Resources)]));
`;
const IMPORTS = `
import { App, Stack } from "aws-cdk-lib";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { NeonMigrations } from "neon-lambda-migrator/infra";
`;
const REQUIRES = IMPORTS.replaceAll(/import (.*) from (.*);/g, "const $1 = require($2);");

/** Builds the package as it is published, and installs it beside what npm would install with it. */
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "packed-"));
  app = join(scratch, "app");
  const source = join(scratch, "source");
  const dist = join(source, "dist");
  await Promise.all([
    run(process.execPath, [TSC, "-p", "tsconfig.build.json", "--outDir", dist]).then(() =>
      run(process.execPath, ["--import", "tsx", "bin/build-infra.ts", dist]),
    ),
    // The handler is tried elsewhere; here any will do that `npm ci` has built.
    cp("dist/lambda", join(dist, "lambda"), { recursive: true }),
    cp("package.json", join(source, "package.json")),
  ]);
  await run("npm", ["pack", "--ignore-scripts", "--offline"], { cwd: source });
  const [tarball = ""] = (await readdir(source)).filter((name) => name.endsWith(".tgz"));
  const installed = join(app, "node_modules", "neon-lambda-migrator");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", join(source, tarball), "--strip-components=1", "-C", installed]);
  await linkDependencies();
  await cp("drizzle", join(app, "drizzle"), { recursive: true });
}, 120_000);

afterAll(() => rm(scratch, { recursive: true, force: true }));

async function linkDependencies(): Promise<void> {
  const { dependencies } = JSON.parse(await readFile("package.json", "utf8"));
  const names = Object.keys(dependencies).concat("aws-cdk-lib", "constructs", "@types");
  for (const name of new Set(names.map((each) => each.split("/", 1)[0] ?? each))) {
    await symlink(resolve("node_modules", name), join(app, "node_modules", name));
  }
}

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(app, name), text);
}

describe("GIVEN the package as npm would install it", () => {
  test("WHEN a CommonJS app requires and an ESM app imports it THEN both synthesise the same, without a warning", async () => {
    const sameClass = `
      import { createRequire } from "node:module";
      const required = createRequire(import.meta.url)("neon-lambda-migrator/infra");
      if (required.NeonMigrations !== NeonMigrations) throw new Error("There are two classes.");`;
    await write({ "app.cjs": REQUIRES + STACK, "app.mjs": IMPORTS + sameClass + STACK });
    const [required, imported] = await Promise.all([node("app.cjs"), node("app.mjs")]);
    const [hash, resources] = JSON.parse(required.stdout);

    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(resources).toContain("MigrationsRunAA72812B");
    expect(imported).toEqual(required);
    expect(required.stderr).toBe("");
  });

  test("WHEN TypeScript compiles an app for CommonJS or for ESM THEN it finds the types and has nothing to say", async () => {
    const compilerOptions = {
      ...{ target: "ES2022", strict: true, noEmit: true, skipLibCheck: true, types: ["node"] },
      // Stricter than NodeNext: here nothing that is CommonJS may ask for what is not.
      ...{ module: "Node16", moduleResolution: "Node16", isolatedModules: true },
    };
    await write({
      "app.cts": IMPORTS + STACK,
      "app.mts": IMPORTS + STACK,
      "tsconfig.json": JSON.stringify({ compilerOptions, files: ["app.cts", "app.mts"] }),
    });

    expect(await node(TSC, "-p", ".")).toEqual({ stdout: "", stderr: "" });
  });
});

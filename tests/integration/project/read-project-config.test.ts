import { describe, expect, test } from "vitest";
import { readProjectConfig } from "../../../lib/project/project.ts";
import { makeProject } from "../../setup/project.ts";

const GOOD = '{ dialect: "postgresql", out: "./migrations" }';

const read = (cwd: string, named?: string, limitMs?: number) =>
  readProjectConfig({
    ...{ cwd, named, environment: { PATH: process.env.PATH, SET: "set" } },
    ...(limitMs === undefined ? {} : { limitMs }),
  });

/** The content of a file that says which file it is. */
const named = (name: string) =>
  name.endsWith("json")
    ? JSON.stringify({ dialect: "postgresql", out: name })
    : `${/c?js$/.test(name) && !name.endsWith("mjs") ? "module.exports =" : "export default"} { dialect: "postgresql", out: ${JSON.stringify(name)} };`;

describe("readProjectConfig", () => {
  const order = ["ts", "js", "json", "mts", "mjs", "cjs"].map((each) => `drizzle.config.${each}`);

  test.each(order.map((name, index) => [name, order.slice(index)] as const))(
    "takes %s before those behind it",
    async (name, present) => {
      const cwd = makeProject(Object.fromEntries(present.map((each) => [each, named(each)])), null);

      expect(await read(cwd)).toMatchObject({ file: name, folder: name });
    },
  );

  test("finds nothing in an empty folder", async () => {
    expect(await read(makeProject({}, null))).toBeNull();
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    [
      "imports TypeScript without an extension, and uses an enum",
      {
        "src/env.ts": 'export enum Out { Folder = "./migrations" }',
        "drizzle.config.ts": `import { Out } from "./src/env"; export default { dialect: "postgresql", out: Out.Folder };`,
      },
    ],
    [
      "is ESM in a project without a type",
      {
        "package.json": "{}",
        "drizzle.config.js": `import { sep } from "node:path"; export default { dialect: "postgresql", out: "." + sep + "migrations" };`,
      },
    ],
    [
      "exports its fields by their names",
      {
        "drizzle.config.ts":
          'export const dialect = "postgresql"; export const out = "./migrations";',
      },
    ],
    [
      "waits at its top level",
      {
        "drizzle.config.mts": `await new Promise((done) => setTimeout(done, 1)); export default ${GOOD};`,
      },
    ],
    [
      "imports drizzle-kit, which is not installed",
      {
        "drizzle.config.ts": `import { defineConfig } from "drizzle-kit"; export default defineConfig(${GOOD});`,
      },
    ],
    [
      "requires drizzle-kit, which is not installed",
      {
        "drizzle.config.cjs": `const { defineConfig } = require("drizzle-kit"); module.exports = defineConfig(${GOOD});`,
      },
    ],
    [
      "leaves a timer behind, and a setting with a function",
      {
        "drizzle.config.ts": `setInterval(() => 1, 1000); export default { dialect: "postgresql", out: "./migrations", dbCredentials: { url: "postgres://u@h/d", ssl: { check: () => 1 } } };`,
      },
    ],
  ])("reads a file that %s", async (_, files) => {
    expect(await read(makeProject(files, null))).toMatchObject({ folder: "./migrations" });
  });

  test("sees the folder beside the file, where the working directory has none", async () => {
    const files = { "packages/db/drizzle.config.ts": `export default ${GOOD};` };
    const cwd = makeProject({ ...files, "packages/db/migrations/a.sql": "" }, null);
    const both = makeProject(
      { ...files, "packages/db/migrations/a.sql": "", "migrations/a.sql": "" },
      null,
    );

    expect(await read(cwd, "packages/db/drizzle.config.ts")).toMatchObject({
      file: "packages/db/drizzle.config.ts",
      folder: "packages/db/migrations",
    });
    expect(await read(both, "packages/db/drizzle.config.ts")).toMatchObject({
      folder: "./migrations",
    });
  });

  test.each<[string, string, RegExp]>([
    [
      "throws",
      'throw new Error("DATABASE_URL is required.");',
      /throws: DATABASE_URL is required\. Does it need/,
    ],
    [
      "throws a connection string",
      'throw new Error("no postgres://u:geheim@h/d");',
      /throws: no postgres:\/\/u:\[redacted\]@h\/d\./,
    ],
    ["throws no error", "throw null;", /throws: null\./],
    [
      "imports what is not installed",
      'import "dotenv-flow/config"; export default {};',
      /imports dotenv-flow\/config, and that cannot be found\. Is it installed\?/,
    ],
    [
      "imports a file that is not there",
      'import "./src/env"; export default {};',
      /imports \.\/src\/env, and that cannot be found/,
    ],
    [
      "is no TypeScript",
      "export default {{;",
      /cannot be parsed: Unexpected token, in .*drizzle\.config\.ts:1:16\./,
    ],
    ["exports nothing", "export {};", /exports nothing\. Write "export default/],
    ["exports a function", "export default () => ({});", /exports a function/],
    [
      "ends its process",
      "process.exit(3);",
      /ended its process \(exit code 3\) before it exported/,
    ],
    [
      "waits for what never comes",
      "await new Promise(() => undefined);",
      /ended its process \(exit code \d+\) before/,
    ],
    [
      "throws later, before it is done",
      'setTimeout(() => { throw new Error("late"); }, 1); await new Promise((done) => setTimeout(done, 60_000));',
      /throws: late\./,
    ],
  ])("says with file and reason that a file %s", async (_, text, reason) => {
    const cwd = makeProject({ "drizzle.config.ts": text }, null);

    await expect(read(cwd)).rejects.toMatchObject({
      code: "PROJECT_CONFIG_INVALID",
      message: expect.stringMatching(
        new RegExp(
          `^drizzle\\.config\\.ts ${reason.source}.* name another with --config, or read none with --no-config\\.$`,
        ),
      ),
    });
  });

  test.each(["for (;;);", "await new Promise((done) => setTimeout(done, 2 ** 30));"])(
    "gives up a file that never ends: %s",
    async (text) => {
      const cwd = makeProject({ "drizzle.config.ts": text }, null);

      await expect(read(cwd, undefined, 2_000)).rejects.toMatchObject({
        code: "PROJECT_CONFIG_INVALID",
        message: expect.stringMatching(
          /^drizzle\.config\.ts did not come to its end in 2 seconds\. /,
        ),
      });
    },
  );

  test("names the files that are there, where the named one is not", async () => {
    const cwd = makeProject({ "drizzle.config.js": "", "drizzle.prod.config.ts": "" }, null);

    await expect(read(cwd, "config/drizzle.config.ts")).rejects.toMatchObject({
      code: "PROJECT_CONFIG_INVALID",
      message: expect.stringContaining(
        `config/drizzle.config.ts does not exist. ${cwd} has drizzle.config.js, drizzle.prod.config.ts.`,
      ),
    });
  });

  test("refuses a JSON file that is none", async () => {
    const cwd = makeProject({ "drizzle.config.json": "{ dialect" }, null);

    await expect(read(cwd)).rejects.toThrow(/^drizzle\.config\.json is not JSON: /);
  });

  test("says to the file nothing of our own environment but what it is given", async () => {
    const cwd = makeProject(
      { "drizzle.config.ts": 'export default { dialect: "postgresql", out: process.env.SET };' },
      null,
    );

    expect(await read(cwd)).toMatchObject({ folder: "set" });
  });
});

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { writeJournaledFolder, writeNamedFolder } from "../../setup/folders.ts";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { makeProject } from "../../setup/project.ts";
import { expectReport } from "../../setup/report-schema.ts";

/** A migration that would do its work again in silence, if it were run again. */
const REPEATABLE = {
  tag: "20260101000000_repeatable",
  when: Date.UTC(2026, 0, 1),
  sql: "create table if not exists counted (id int);\n--> statement-breakpoint\ninsert into counted values (1);",
};

const KINDS: readonly {
  readonly kind: string;
  readonly packages: string;
  readonly files: (url: URL) => Readonly<Record<string, string>>;
  readonly write: typeof writeJournaledFolder;
}[] = [
  {
    kind: "ESM in TypeScript, with tsconfig paths and .env",
    packages: "node_modules",
    files: ({ href }) => ({
      "package.json": '{ "type": "module" }',
      "tsconfig.json": '{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }',
      ".env": `MIGRATIONS_URL="${href}"`,
      "src/env.ts": "export const url: string = process.env.MIGRATIONS_URL ?? '';",
      "drizzle.config.ts": `
        import { defineConfig } from "drizzle-kit";
        import { url } from "@/env";
        console.log("printed by the config");
        export default defineConfig({
          dialect: "postgresql",
          out: "./migrations",
          migrations: { schema: "app_meta", table: "my_migrations" },
          dbCredentials: { url },
        });`,
    }),
    write: writeJournaledFolder,
  },
  {
    kind: "CommonJS in JavaScript, with the parts of the connection",
    packages: "node_modules",
    files: ({ hostname, port, username, password, pathname }) => ({
      "package.json": "{}",
      "database.js": `module.exports = ${JSON.stringify({
        ...{ host: hostname, port: Number(port), user: username },
        password: decodeURIComponent(password),
        ...{ database: pathname.slice(1), ssl: false },
      })};`,
      "drizzle.config.js": `
        const { defineConfig } = require("drizzle-kit");
        module.exports = defineConfig({
          dialect: "postgresql",
          out: "migrations",
          migrations: { schema: "app_meta", table: "my_migrations" },
          dbCredentials: require("./database"),
        });`,
    }),
    write: writeJournaledFolder,
  },
  {
    kind: "Drizzle 1.0",
    packages: "tests/drizzle-1/node_modules",
    files: ({ href }) => ({
      "package.json": '{ "type": "module" }',
      "drizzle.config.ts": `
        import { defineConfig } from "drizzle-kit";
        await Promise.resolve();
        export default defineConfig({
          dialect: "postgresql",
          out: "./migrations",
          migrations: { schema: "app_meta", table: "my_migrations" },
          dbCredentials: { url: ${JSON.stringify(href)} },
        });`,
    }),
    write: writeNamedFolder,
  },
];

describe.each(KINDS)("a project that drizzle-kit has migrated: $kind", (each) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.close());

  test("is found with its folder, its ledger and its database, and nothing runs again", async () => {
    const { packages, files, write } = each;
    const project = makeProject(files(new URL(database.url)), packages);
    write(join(project, "migrations"), [REPEATABLE]);
    const kit = join(project, "node_modules/drizzle-kit/bin.cjs");
    await promisify(execFile)(process.execPath, [kit, "migrate"], {
      cwd: project,
      env: { PATH: process.env.PATH },
    });

    const unread = await neonMigrateIn(project, [
      ...["up", "--relay", "--json", "--no-config", "--folder", "migrations"],
      ...["--url", database.url],
    ]);
    const up = await neonMigrateIn(project, ["up", "--relay", "--json"]);
    const plan = await neonMigrateIn(project, ["plan", "--relay", "--exit-code"]);

    expect(expectReport(JSON.parse(unread.stdout)).error).toMatchObject({
      code: "LEDGER_ELSEWHERE",
      message: expect.stringContaining("--ledger-schema app_meta --ledger-table my_migrations"),
    });
    expect(expectReport(JSON.parse(up.stdout))).toMatchObject({
      status: "up-to-date",
      ledger: { schema: "app_meta", table: "my_migrations" },
    });
    expect(plan).toMatchObject({ exitCode: 0 });
    expect(plan.stderr).toContain("(folder ");
    expect(plan.stderr).toMatch(
      /^Read drizzle\.config\.[tj]s \(.*, ledger app_meta\.my_migrations, database\)/m,
    );
    expect(await database.sqlAsOwner("select count(*)::int as rows from counted")).toEqual([
      { rows: 1 },
    ]);
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { compileBundle } from "../../lib/compile/compile.ts";
import { createHistory } from "../../lib/history/entry.ts";
import { createCheckpoints } from "../../lib/ledger/checkpoints.ts";
import { runsPlace } from "../../lib/queued-runs/home.ts";
import { createRuns } from "../../lib/queued-runs/table.ts";
import type { Target } from "../../lib/target/target.ts";
import type { TestDatabase } from "../setup/database.ts";
import { makeBundle, makeMigration } from "../setup/make-migration.ts";
import { run } from "../setup/run.ts";
import { test } from "../setup/test.ts";

/** A release line of drizzle-kit. Its projects lie where they find its own drizzle-orm. */
interface Kit {
  readonly version: string;
  readonly bin: string;
  readonly beside: string;
}

const kit0: Kit = {
  version: "0.31",
  bin: resolve("node_modules/drizzle-kit/bin.cjs"),
  beside: resolve("tests/trials"),
};
const kit1: Kit = {
  version: "1.0",
  bin: resolve("tests/drizzle-1/node_modules/drizzle-kit/bin.cjs"),
  beside: resolve("tests/drizzle-1"),
};

const SCHEMA = `
import { integer, pgTable, text } from "drizzle-orm/pg-core";
export const users = pgTable("users", { id: integer().primaryKey(), name: text() });
`;
/** The words in which drizzle-kit would name a table of ours, or its schema. */
const OURS = /__drizzle_migrations|drizzleMigrations|drop schema|"drizzle"|schema {2}drizzle/i;
const LEDGER = { schema: "drizzle", table: "__drizzle_migrations" };
const BESIDE = ["", "_checkpoints", "_history", "_runs"].map((suffix) => LEDGER.table + suffix);

/** A project of drizzle-kit, and its commands. */
interface KitProject {
  readonly folder: string;
  /** Runs a command without a terminal. Returns its exit code, its words, and the files that it has written. */
  readonly command: (name: string) => { readonly code: number | null; readonly said: string };
}

function projectOf(kit: Kit, database: TestDatabase, settings = ""): KitProject {
  const root = mkdtempSync(join(kit.beside, ".kit-project-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, "schema.ts"), SCHEMA);
  const config = `{ dialect: "postgresql", schema: "./schema.ts", verbose: true, ${settings} dbCredentials: { url: "${database.url}" } }`;
  for (const out of ["migrations", "pulled"]) {
    const file = `export default { ...${config}, out: "./${out}" };`;
    writeFileSync(join(root, `${out}.config.ts`), file);
  }
  const command: KitProject["command"] = (name) => {
    const out = name === "pull" ? "pulled" : "migrations";
    const words = [kit.bin, name, "--config", `${out}.config.ts`];
    const ended = spawnSync(process.execPath, words, { cwd: root, encoding: "utf8", input: "" });
    const files =
      name === "pull" ? filesIn(join(root, out)).map((file) => readFileSync(file, "utf8")) : [];
    return { code: ended.status, said: [ended.stdout, ended.stderr, ...files].join("\n") };
  };
  expect(command("generate").code).toBe(0);
  return { folder: join(root, "migrations"), command };
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
}

/** Whether none of its commands sees a table of ours, or changes anything. */
async function expectUnseen(
  { command }: KitProject,
  database: TestDatabase,
  commands: readonly string[] = ["generate", "check", "push", "pull"],
): Promise<void> {
  const before = await tablesIn(database);
  for (const name of commands) {
    const { code, said } = command(name);
    expect([name, code]).toEqual([name, 0]);
    expect(said).not.toMatch(OURS);
  }
  expect(await tablesIn(database)).toEqual(before);
}

async function tablesIn(database: TestDatabase): Promise<readonly unknown[]> {
  const rows = await database.sql(
    "select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname !~ '^pg_|^information' order by 1",
  );
  return rows.map(({ name }) => name);
}

/** Creates each table that stands beside a ledger, as the product does. */
async function createAll(database: TestDatabase, schema: string): Promise<void> {
  const place = { ...LEDGER, schema };
  const none = { exists: false, schemaExists: true, believed: false, owner: null };
  const may = { mayCreate: true, mayRead: false, mayWrite: false };
  const [, runs = ""] = createRuns({ ...runsPlace(place), ...none, ...may });
  for (const [suffix, sql] of [
    ["_checkpoints", createCheckpoints(place)],
    ["_history", createHistory(place)],
    ["_runs", runs],
  ] as const) {
    const [there] = await database.sql("select to_regclass($1) is not null as is", [
      `${schema}.${LEDGER.table}${suffix}`,
    ]);
    if (there?.is !== true) await database.sqlAsOwner(sql);
  }
}

/** In `public` 0.31 pushes and pulls the sequences of tables that it filters out, that of Drizzle's own ledger too. */
const inPublic = ({ version }: Kit): readonly string[] | undefined =>
  version === "0.31" ? ["generate", "check"] : undefined;

async function applied(target: Target, { folder }: KitProject, executor: string): Promise<void> {
  const report = await run(target, await compileBundle(folder), { executor });
  expect(report).toMatchObject({ status: "applied", warnings: [] });
}

describe.for([kit0, kit1])("drizzle-kit $version", (kit) => {
  test.for(kit === kit0 ? ["drizzle", "statements"] : ["auto"])(
    "sees nothing of what a run by %s leaves by default",
    async (executor, { database, target }) => {
      const project = projectOf(kit, database);
      await applied(target, project, executor);

      expect(await tablesIn(database)).toEqual([
        "drizzle.__drizzle_migrations",
        ...(kit === kit0 ? ["drizzle.__drizzle_migrations_history"] : []),
        "public.users",
      ]);
      await expectUnseen(project, database);
    },
  );

  test("sees no history beside a ledger in public, because there is none by default", async ({
    database,
    target,
  }) => {
    const project = projectOf(kit, database, `tablesFilter: ["!__drizzle_migrations"],`);
    await applied(
      { ...target, ledger: { ...LEDGER, schema: "public", named: true } },
      project,
      "auto",
    );

    expect(await tablesIn(database)).toEqual(["public.__drizzle_migrations", "public.users"]);
    await expectUnseen(project, database, inPublic(kit));
  });

  test("sees none of the four tables in public with a filter for them", async ({
    database,
    target,
  }) => {
    const project = projectOf(kit, database, `tablesFilter: ["!__drizzle_migrations*"],`);
    await applied(
      { ...target, ledger: { ...LEDGER, schema: "public", named: true } },
      project,
      "auto",
    );
    await createAll(database, "public");

    expect(await tablesIn(database)).toEqual([
      ...BESIDE.map((name) => `public.${name}`),
      "public.users",
    ]);
    await expectUnseen(project, database, inPublic(kit));
  });

  test(`sees none of the four tables in the ledger's schema ${kit === kit0 ? "by default" : "with a filter for it"}`, async ({
    database,
    target,
  }) => {
    const filter = kit === kit0 ? "" : `schemaFilter: ["!drizzle"],`;
    const project = projectOf(kit, database, filter);
    await applied(target, project, "auto");
    await createAll(database, "drizzle");

    expect(await tablesIn(database)).toEqual([
      ...BESIDE.map((name) => `drizzle.${name}`),
      "public.users",
    ]);
    await expectUnseen(project, database);
  });
});

describe.for([kit0, kit1])("drizzle-kit $version, behind a run with checkpoints", (kit) => {
  const PLACES = [
    { schema: "drizzle", settings: "" },
    { schema: "ops", settings: `migrations: { schema: "ops" },` },
    ...(kit === kit1 ? [{ schema: "public", settings: `migrations: { schema: "public" },` }] : []),
  ];
  test.for(PLACES)(
    "sees nothing of ours in $schema",
    async ({ schema, settings }, { database, target }) => {
      const project = projectOf(kit, database, settings);
      await applied({ ...target, ledger: { ...LEDGER, schema, named: true } }, project, "auto");
      const bundle = await compileBundle(project.folder);
      const vacuum = makeMigration(
        "99991231235959_vacuum",
        253_402_300_799_000,
        "vacuum",
        "analyze users",
      );
      const next = { ...makeBundle(...bundle.migrations, vacuum), layout: bundle.layout };
      const report = await run({ ...target, ledger: { ...LEDGER, schema, named: true } }, next);

      expect(report).toMatchObject({ status: "applied", warnings: [] });
      expect(await tablesIn(database)).toContain(`${schema}.__drizzle_migrations`);
      await expectUnseen(project, database);
    },
  );
});

test("drizzle-kit 1.0 wants to drop the schema of a history, without a filter: so none is begun", async ({
  database,
  target,
}) => {
  const project = projectOf(kit1, database);
  await applied({ ...target, ledger: { ...target.ledger, history: true } }, project, "auto");
  const { code, said } = project.command("push");

  expect(code).not.toBe(0);
  expect(said).toMatch(/data loss.*schema\s+drizzle/is);
  expect(await tablesIn(database)).toContain("drizzle.__drizzle_migrations_history");
});

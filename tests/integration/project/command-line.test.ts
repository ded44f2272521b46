import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { makeProject } from "../../setup/project.ts";

/** A folder without a migration. */
const EMPTY = '{ "version": "7", "dialect": "postgresql", "entries": [] }';

const CONFIG = `console.log("printed by the config");
export default {
  dialect: "postgresql",
  out: "./migrations",
  migrations: { schema: "app_meta", table: "my_migrations" },
  dbCredentials: { url: process.env.MIGRATIONS_URL },
};`;

const PROJECT = { "migrations/meta/_journal.json": EMPTY, "drizzle.config.ts": CONFIG };

describe("a project's files", () => {
  test("do not spoil JSON, whatever the config prints", async () => {
    const project = makeProject(PROJECT, null);

    const ended = await neonMigrateIn(project, ["check", "--json"]);

    expect(ended).toMatchObject({ exitCode: 0, stderr: "printed by the config\n" });
    expect(JSON.parse(ended.stdout)).toMatchObject({ migrations: [] });
  });

  test.each<[string, readonly string[], string]>([
    ["up", [], "(folder ./migrations, ledger app_meta.my_migrations, database) and .env."],
    ["status", ["--ledger-table", "t"], "(folder ./migrations, ledger app_meta.t, database) and"],
    [
      "plan",
      [
        "--folder",
        "migrations",
        "--ledger-schema",
        "s",
        "--ledger-table",
        "t",
        "--url",
        "nonsense",
      ],
      "(database overridden by --url) and .env.",
    ],
    [
      "baseline",
      ["--to", "x", "--env-file", "a.env", "--env-file", "b.env"],
      "(folder ./migrations, ledger app_meta.my_migrations, database overridden by DATABASE_URL in b.env) and a.env and b.env (DATABASE_URL).",
    ],
    [
      "repair",
      ["--merge-ledgers", "--config", "drizzle.config.ts"],
      "(folder ./migrations, ledger",
    ],
    [
      "bundle",
      ["--out", "asset"],
      "(folder ./migrations, ledger app_meta.my_migrations) and .env.",
    ],
  ])("are read by %s, which says for what: %j", async (command, words, said) => {
    const project = makeProject(
      {
        ...PROJECT,
        ".env": "MIGRATIONS_URL=postgres://h",
        "a.env": "MIGRATIONS_URL=postgres://h\nDATABASE_URL=postgres://a",
        "b.env": "DATABASE_URL=postgres://b",
      },
      null,
    );

    const { stderr } = await neonMigrateIn(project, [command, ...words]);

    expect(stderr).toContain(`Read drizzle.config.ts ${said}`);
  });

  test.each<[readonly string[], Readonly<Record<string, string>>, string]>([
    [
      [],
      PROJECT,
      "the environment sets none of them, and there is no .env. dbCredentials of drizzle.config.ts has no url: does it need a variable that is not set?",
    ],
    [[], { ...PROJECT, ".env": "OTHER=1" }, "the environment and .env set none of them."],
    [
      ["--no-config", "--folder", "migrations"],
      PROJECT,
      "No drizzle.config file was read (--no-config).",
    ],
    [
      ["--folder", "migrations"],
      { "migrations/meta/_journal.json": EMPTY },
      " has none of drizzle.config.ts, drizzle.config.js, drizzle.config.json,",
    ],
    [["--url", ""], { ...PROJECT, ".env": "DATABASE_URL=postgres://h" }, "--url is empty:"],
    [["--url", "mysql://u:geheim@h/d"], PROJECT, "connection string of --url begins with mysql://"],
    [["--url", `psql 'postgres://u:geheim@h/d'`], PROJECT, "of --url begins with psql"],
    [["--url", `"postgres://u:geheim@h/d"`], PROJECT, "of --url has a quotation mark around it"],
    [
      [],
      { ...PROJECT, ".env": "DATABASE_URL=mysql://u:geheim@h/d" },
      "The connection string of DATABASE_URL in .env begins with mysql://",
    ],
    [
      [],
      { ...PROJECT, ".env": "MIGRATIONS_URL=u:geheim@h/d" },
      "The connection string of dbCredentials in drizzle.config.ts is not a URL of the form postgres://USER:PASSWORD@HOST/DATABASE.",
    ],
    [[], { "drizzle.config.ts": CONFIG }, "The migrations folder ./migrations does not exist in "],
    [
      [],
      { "drizzle.prod.config.ts": CONFIG },
      "Name drizzle.prod.config.ts with --config. Name the folder that drizzle-kit generates into with --folder.",
    ],
    [["--config", "prod.ts"], PROJECT, "prod.ts does not exist."],
    [
      ["--folder", "drizle"],
      PROJECT,
      "drizzle.config.ts names ./migrations as out. Omit --folder to use that folder.",
    ],
    [
      ["--folder", "empty"],
      { ...PROJECT, "empty/.gitkeep": "" },
      "empty has no migrations: neither meta/_journal.json, as drizzle-kit 0.x writes it, nor a folder with a migration.sql, as 1.0 does.",
    ],
    [
      ["--folder", "empty"],
      { "drizzle.config.ts": CONFIG, "empty/.gitkeep": "" },
      "drizzle.config.ts names ./migrations as out. There is no such folder either.",
    ],
    [
      ["--relay", "--url", "postgres://u:geheim@db.example/d?sslmode=require"],
      PROJECT,
      "The connection string asks for TLS (sslmode=require), and --relay reaches db.example without it",
    ],
  ])("are named where something is missing or wrong: plan %j", async (words, files, message) => {
    const ended = await neonMigrateIn(makeProject(files, null), ["plan", ...words]);

    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toContain(message);
    expect(`${ended.stdout}${ended.stderr}`).not.toMatch(/geheim|redacted/);
  });

  test.each(["up", "status", "check", "bundle", "baseline"])(
    "are named by %s where --folder names a wrong folder",
    async (command) => {
      const words = command === "baseline" ? ["--to", "x"] : [];

      const { stderr } = await neonMigrateIn(makeProject(PROJECT, null), [
        ...[command, "--folder", "nope", ...words],
      ]);

      expect(stderr).toContain("The migrations folder nope cannot be read (ENOENT).");
      expect(stderr).toContain("drizzle.config.ts names ./migrations as out.");
    },
  );

  test("do not count where the command line and the environment name everything", async () => {
    const project = makeProject({ ...PROJECT, ".env": "DATABASE_URL=mysql://h" }, null);

    const { stderr } = await neonMigrateIn(project, ["plan"], { DATABASE_URL: "http://h" });

    expect(stderr).toContain("The connection string of DATABASE_URL begins with http://");
  });

  test("give `bundle --json` the ledger of the config, and of nothing else", async () => {
    const project = makeProject({ ...PROJECT, ".env": "LEDGER_SCHEMA=of_env" }, null);

    const { stdout } = await neonMigrateIn(project, ["bundle", "--out", "asset", "--json"]);

    expect(JSON.parse(stdout)).toMatchObject({
      folder: "./migrations",
      project: {
        file: "drizzle.config.ts",
        ledger: { schema: "app_meta", table: "my_migrations" },
      },
    });
  });
});

describe("a file of variables that is named", () => {
  /** Whether this Node looks for the file itself, also behind the script. Node 20 to 26 do. */
  const isNodes = (words: readonly string[], cwd: string): boolean =>
    spawnSync(process.execPath, [join(cwd, "script.cjs"), ...words], { cwd }).status === 9;

  test.each<[readonly string[]]>([
    [["up", "--env-file", "nope"]],
    [["plan", "--env-file=nope", "--json"]],
    [["status", "--env-file", ".env", "--env-file", "nope"]],
    [["check", "--config", "drizzle.config.ts", "--env-file", "no/such/file"]],
    [["plan", "--env-file", "migrations"]],
  ])("and cannot be read ends the command by Node, with exit code 9: %j", async (words) => {
    const project = makeProject({ ...PROJECT, ".env": "A=1", "script.cjs": "" }, null);
    const byNode = isNodes(words, project);

    const { exitCode, stdout, stderr } = await neonMigrateIn(project, words);

    expect({ exitCode }).toEqual({ exitCode: byNode ? 9 : 1 });
    expect(`${stdout}${stderr}`).toMatch(
      byNode
        ? /^\S*node: \S+: (?:not found|invalid format)\n$/
        : /CONFIG_INVALID[\s\S]*The file of variables \S+ cannot be read/,
    );
  });

  test("is read by the command, and not by Node", async () => {
    const project = makeProject({ ...PROJECT, "b.env": "DATABASE_URL=mysql://h" }, null);

    const { stderr } = await neonMigrateIn(project, ["up", "--env-file", "b.env"]);

    expect(stderr).toContain("The connection string of DATABASE_URL in b.env begins with mysql://");
  });
});

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { parse } from "yaml";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { makeProject } from "../../setup/project.ts";
import { test } from "../../setup/test.ts";

const JOURNAL = JSON.stringify({
  ...{ version: "7", dialect: "postgresql" },
  entries: [{ idx: 0, version: "7", when: 1_000, tag: "0000_init", breakpoints: true }],
});
const FOLDER = {
  "migrations/meta/_journal.json": JOURNAL,
  "migrations/0000_init.sql": "create table orders (id int);",
};
const CONFIG = { dialect: "postgresql", out: "./migrations" };
const OWN = { ...CONFIG, migrations: { schema: "app_meta", table: "my_migrations" } };
const PROJECT = {
  ...FOLDER,
  "package.json": '{ "name": "@acme/Web_Kiosk.2", "scripts": { "deploy": "x" } }',
  "drizzle.config.json": JSON.stringify(OWN),
};

/** Tags of YAML that CloudFormation adds. */
const CFN_TAGS = ["!Ref", "!GetAtt"].map((tag) => ({ tag, resolve: (text: string) => text }));

describe("the file for", () => {
  test.for<[string, string, readonly string[]]>([
    [
      "cdk",
      "migrations.ts",
      [
        `import { NeonMigrations } from "neon-lambda-migrator/infra";`,
        `addWebKiosk2Migrations(scope: Construct)`,
        `fromSecretNameV2(scope, "WebKiosk2DatabaseUrl", "web-kiosk-2/database-url")`,
        `migrations: "migrations",`,
        `ledger: { schema: "app_meta", table: "my_migrations" },`,
      ],
    ],
    [
      "terraform",
      "migrations.tf",
      [
        `resource "aws_lambda_function" "web_kiosk_2_migrations" {`,
        `function_name    = "web-kiosk-2-migrations"`,
        `[aws_iam_role_policy.web_kiosk_2_migrations]`,
        `LEDGER_SCHEMA       = "app_meta"\n      LEDGER_TABLE        = "my_migrations"\n    }\n`,
      ],
    ],
    [
      "sam",
      "template.yaml",
      [
        "--stack-name web-kiosk-2-migrations",
        "\n  WebKiosk2MigrationsFunction:\n    Type: AWS::Serverless::Function\n",
        "DependsOn: WebKiosk2MigrationsFunctionEventInvokeConfig",
        "!GetAtt WebKiosk2Migrations.latest",
        `          LEDGER_SCHEMA: "app_meta"\n          LEDGER_TABLE: "my_migrations"\n`,
      ],
    ],
    [
      "sst",
      "sst.config.ts",
      [
        `name: "web-kiosk-2-migrations"`,
        `{ name: "web-kiosk-2/database-url" }`,
        `LEDGER_SCHEMA: "app_meta", LEDGER_TABLE: "my_migrations" }`,
      ],
    ],
    [
      "serverless",
      "serverless.yml",
      ["service: web-kiosk-2-migrations", `      LEDGER_TABLE: "my_migrations"\n`],
    ],
    [
      "github-actions",
      ".github/workflows/migrations.yml",
      [
        "name: web-kiosk-2 migrations",
        "FUNCTION: web-kiosk-2-migrations",
        "- run: npx neon-migrate bundle --out asset",
        "- run: npm run deploy #",
      ],
    ],
  ])("%s has the names of the project and none of the example's", async ([tool, file, parts]) => {
    const project = makeProject(PROJECT, null);

    const wrote = await neonMigrateIn(project, ["init", "--for", tool, "--yes"]);

    const text = readFileSync(join(project, file), "utf8");
    expect(wrote.exitCode).toBe(0);
    expect(wrote.stdout).toContain(`\n${file} (a new file)\n+ ${text.split("\n")[0]}\n+ `);
    expect(wrote.stdout).toContain(`\nWritten: ${file}.`);
    for (const part of parts) expect(text).toContain(part);
    expect(text).not.toMatch(/shop|of this deployment|eu-central-1/);
    if (/ya?ml$/.test(file)) expect(parse(text, { customTags: CFN_TAGS })).toBeInstanceOf(Object);
  });

  test("a tool in a folder of its own, other packages and settings is written for these", async () => {
    const project = makeProject(
      {
        ...PROJECT,
        "cloud/cdk.json": "{}",
        "terra form/folder.tf/a": "",
        "terra form/main.tf": "terraform {\n  required_providers {}\n}\n",
        "pnpm-lock.yaml": "",
        ".git/refs/remotes/origin/HEAD": "ref: refs/remotes/origin/trunk\n",
        ".env": [
          "LEDGER_TABLE=of_env",
          "DATABASE_URL_SECRET=prod/neon",
          "DATABASE_URL_SECRET_FIELD=url",
          "AWS_REGION=eu-west-3",
          "AWS_ENDPOINT_URL=http://127.0.0.1:1",
          "AWS_ACCESS_KEY_ID=none",
          "AWS_SECRET_ACCESS_KEY=none",
          "AWS_MAX_ATTEMPTS=1",
        ].join("\n"),
      },
      null,
    );
    const flags = ["--folder", "./migrations", "--name", "2nd Kiosk", "--yes"];

    const ended = [];
    for (const tool of ["cdk", "terraform", "github-actions"]) {
      ended.push(await neonMigrateIn(project, ["init", "--for", tool, ...flags]));
    }

    expect(ended.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    const [cdk, terraform, workflow] = [
      "cloud/migrations.ts",
      "terra form/migrations.tf",
      ".github/workflows/migrations.yml",
    ].map((file) => readFileSync(join(project, file), "utf8"));
    expect(cdk).toContain(`migrations: "../migrations"`);
    expect(cdk).toContain(`"prod/neon");`);
    expect(cdk).toContain(`databaseUrl: { secret, field: "url" }`);
    expect(cdk).toContain(`ledger: { schema: "app_meta", table: "of_env" }`);
    expect(terraform).toContain("terraform -chdir='terra form' apply");
    expect(terraform).toContain(`default     = "../asset"`);
    expect(terraform).not.toContain("required_providers");
    expect(terraform).toContain(`DATABASE_URL_SECRET_FIELD = "url"`);
    expect(terraform).toContain(`function_name    = "app-2nd-kiosk-migrations"`);
    expect(parse(workflow ?? "")).toMatchObject({
      on: { push: { branches: ["trunk"] } },
      jobs: { deploy: { env: { FUNCTION: "app-2nd-kiosk-migrations" } } },
    });
    expect(workflow).toContain("pnpm exec neon-migrate bundle --folder ./migrations --out asset");
    expect(workflow).toContain("aws-region: eu-west-3");
    expect(workflow).not.toMatch(/\bnpm |npx/);
  });
});

test.each(["bun.lock", "bun.lockb"])("a project with %s gets the commands of Bun", async (lock) => {
  const project = makeProject({ ...PROJECT, [lock]: "" }, null);

  const { exitCode } = await neonMigrateIn(project, ["init", "--for", "github-actions", "--yes"]);

  const text = readFileSync(join(project, ".github/workflows/migrations.yml"), "utf8");
  expect(exitCode).toBe(0);
  expect(text).toContain("- run: bun install --frozen-lockfile\n");
  expect(text).toContain("- run: bunx neon-migrate bundle --out asset");
  expect(text).toContain("- run: bun run deploy #");
  expect(text.match(/oven-sh\/setup-bun@v2/g)).toHaveLength(2);
  expect(text).not.toMatch(/\bnpm |npx|cache:/);
  expect(parse(text)).toBeInstanceOf(Object);
});

describe("a file that exists already with other content", () => {
  const theirs = "service: kiosk\nprovider:\n  name: aws\n";

  test("is compared, and stays until --out names it", async () => {
    const project = makeProject({ ...PROJECT, "serverless.yml": theirs }, null);
    const path = join(project, "serverless.yml");
    const words = ["init", "--for", "serverless"];

    const shown = await neonMigrateIn(project, words);
    const refused = await neonMigrateIn(project, [...words, "--yes"]);
    const kept = readFileSync(path, "utf8");
    const beside = ["--out", "serverless.migrations.yml", "--yes"];
    const other = await neonMigrateIn(project, [...words, ...beside]);
    const named = await neonMigrateIn(project, [...words, "--out", "serverless.yml", "--yes"]);
    const again = await neonMigrateIn(project, words);

    const ended = [shown, refused, other, named, again];
    expect(ended.map(({ exitCode }) => exitCode)).toEqual([0, 1, 0, 0, 0]);
    expect(again.stdout).toContain("\nserverless.yml is there, with this content.\n");
    expect(shown.stdout).toContain(
      "\nserverless.yml (changed)\n- service: kiosk\n+ # neon-migrate",
    );
    expect(shown.stdout).toContain("\n  provider:\n    name: aws\n+   runtime: nodejs24.x\n");
    for (const text of [shown.stdout, refused.stderr]) {
      expect(text).toContain("\nNothing was written: serverless.yml exists already with other");
      expect(text).toContain("init --for serverless --out serverless.migrations.yml.");
    }
    expect(kept).toBe(theirs);
    expect(readFileSync(join(project, "serverless.migrations.yml"), "utf8")).toContain(
      "# osls deploy --config serverless.migrations.yml --param",
    );
    expect(named.stdout).toContain("- service: kiosk\n");
    expect(readFileSync(path, "utf8")).toContain("service: web-kiosk-2-migrations");
  });

  test("or cannot be a file, or a name, is an error", async () => {
    const project = makeProject(PROJECT, null);
    const words = ["init", "--for", "sst", "--yes"];

    const folder = await neonMigrateIn(project, [...words, "--out", "migrations"]);
    const name = await neonMigrateIn(project, [...words, "--name", "商店"]);
    const below = await neonMigrateIn(project, [...words, "--out", "package.json/sst.config.ts"]);

    expect([folder, name, below].map(({ exitCode }) => exitCode)).toEqual([1, 1, 1]);
    expect(folder.stderr).toContain("migrations is not a file. Name the file to write with --out.");
    expect(name.stderr).toContain(`The name "商店" has no letter that every tool takes.`);
    expect(below.stderr).toContain("package.json/sst.config.ts cannot be written: ");
    expect(existsSync(join(project, "sst.config.ts"))).toBe(false);
  });
});

describe("init says what it found:", () => {
  const LEDGER = (schema: string) =>
    `create schema ${schema}; create table ${schema}.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);`;
  const HASH = "encode(sha256('create table orders (id int);'), 'hex')";

  test.for<[string, string, string, string, string]>([
    ["an empty database", "select 1", "pending", "neon-migrate plan", "0 of 1 migration applied."],
    [
      "one that drizzle-kit push made",
      "create table orders (id int)",
      "not-baselined",
      "neon-migrate baseline --to 0000_init",
      "This database has 1 of the 1 tables of 0000_init",
    ],
    [
      "one with a ledger under another name",
      `${LEDGER("app_meta")} insert into app_meta.__drizzle_migrations (hash, created_at) values (${HASH}, 1000)`,
      "ledger-elsewhere",
      "neon-migrate status --ledger-schema app_meta --ledger-table __drizzle_migrations",
      "LEDGER_SCHEMA=app_meta and LEDGER_TABLE=__drizzle_migrations",
    ],
    [
      "one that is migrated",
      `${LEDGER("drizzle")} insert into drizzle.__drizzle_migrations (hash, created_at) values (${HASH}, 1000)`,
      "up-to-date",
      "",
      "1 of 1 migration applied.",
    ],
  ])("%s", async ([, sql, state, next, words], { database }) => {
    await database.sqlAsOwner(sql);
    const before = await database.sql("select count(*) from pg_class");
    const project = makeProject(
      {
        ...PROJECT,
        "drizzle.config.json": JSON.stringify(CONFIG),
        "sst.config.ts": "",
        ".github/workflows/ci.yaml": "",
        ".env": `DATABASE_URL=${database.url}`,
      },
      null,
    );

    const [said, json] = await Promise.all([
      neonMigrateIn(project, ["init", "--relay"]),
      neonMigrateIn(project, ["init", "--relay", "--for", "sam", "--json"]),
    ]);

    expect([said.exitCode, json.exitCode, json.stderr]).toEqual([0, 0, ""]);
    expect(said.stdout).toContain("Package     @acme/Web_Kiosk.2\n");
    expect(said.stdout).toContain("Migrations  1 migration in ./migrations\n");
    expect(said.stdout).toContain("Ledger      drizzle.__drizzle_migrations (the default)\n");
    expect(said.stdout).toMatch(/\nDatabase {4}DATABASE_URL in \.env\. /);
    expect(said.stdout).toContain(words);
    expect(said.stdout).toContain(
      "sst (sst.config.ts), github-actions (.github/workflows/ci.yaml)",
    );
    expect(said.stdout).toContain("\nThe file that deploys them: neon-migrate init --for sst\n");
    expect(said.stdout.includes("\nNext: ")).toBe(next !== "");
    expect(said.stdout).toContain(next === "" ? "" : `\nNext: ${next}\n`);
    expect(JSON.parse(json.stdout)).toMatchObject({
      database: { from: "DATABASE_URL in .env", state, next: next === "" ? null : next },
      ledger: { schema: "drizzle", table: "__drizzle_migrations", from: "the default" },
      deployment: { tool: "sam", path: "template.yaml", before: "none", written: false },
    });
    expect(await database.sql("select count(*) from pg_class")).toEqual(before);
    expect(existsSync(join(project, "template.yaml"))).toBe(false);
  });

  test("a ledger under another name, and the command that writes the file with it", async ({
    database,
  }) => {
    const row = `insert into other.__drizzle_migrations (hash, created_at) values (${HASH}, 1000)`;
    await database.sqlAsOwner(`${LEDGER("other")} ${row}`);
    const env = { ".env": `DATABASE_URL=${database.url}` };
    const project = makeProject({ ...FOLDER, ...env }, null);
    const words = ["init", "--for", "sam", "--folder", "migrations", "--relay"];

    const { stdout } = await neonMigrateIn(project, words);
    const isThere = existsSync(join(project, "template.yaml"));
    const [, flags = ""] = /neon-migrate init --for sam (--ledger-\S+ .*)\n$/.exec(stdout) ?? [];
    const named = await neonMigrateIn(project, [...words, ...flags.split(" "), "--yes"]);

    expect(stdout).toContain("\nNothing was written. Repeat with --yes to write it.\n");
    expect(isThere).toBe(false);
    expect(named.stdout).toContain("1 of 1 migration applied.");
    expect(readFileSync(join(project, "template.yaml"), "utf8")).toContain(
      `          LEDGER_SCHEMA: "other"\n          LEDGER_TABLE: "__drizzle_migrations"\n`,
    );
  });

  test.for<[string, Readonly<Record<string, string>>, string]>([
    ["a folder that is missing", {}, "FOLDER_NOT_FOUND: The migrations folder ./migrations"],
    ["an empty folder", { "migrations/.gitkeep": "" }, "JOURNAL_MISSING: ./migrations has no"],
    [
      "a file that is missing",
      { "migrations/meta/_journal.json": JOURNAL },
      "MIGRATION_FILE_MISSING: migrations/0000_init.sql",
    ],
    [
      "SQL that is none",
      { ...FOLDER, "migrations/0000_init.sql": "create tabel x ();" },
      "SQL_INVALID: migrations/0000_init.sql:1:8: ",
    ],
  ])("%s, and does the rest", async ([, files, words]) => {
    const config = { "drizzle.config.json": JSON.stringify(CONFIG), "cdk.json": "{}" };
    const project = makeProject({ ...files, ...config }, null);
    const env = { DATABASE_URL: "postgres://u:geheim@127.0.0.1:1/d" };

    const said = await neonMigrateIn(project, ["init"], env);
    const json = await neonMigrateIn(project, ["init", "--for", "cdk", "--yes", "--json"], env);

    expect([said.exitCode, json.exitCode]).toEqual([0, 0]);
    expect(said.stdout).toContain(`\nMigrations  ${words}`);
    expect(said.stdout).toContain(
      "\nDatabase    DATABASE_URL. It was not asked: the folder comes first.\n",
    );
    expect(said.stdout).toContain(
      /^[FJ]/.test(words)
        ? "\nNext: drizzle-kit generate\n"
        : "\nNext: mend the folder; neon-migrate check shows where.\n",
    );
    expect(JSON.parse(json.stdout)).toMatchObject({
      migrations: null,
      problem: expect.stringContaining(words),
      deployment: { path: "migrations.ts", written: true },
    });
  });

  test("the config file beside the folder of --folder", async () => {
    const config = { ...OWN, out: "./drizzle" };
    const project = makeProject(
      {
        "packages/db/drizzle/meta/_journal.json": JOURNAL,
        "packages/db/drizzle/0000_init.sql": "create table orders (id int);",
        "packages/db/drizzle.config.json": JSON.stringify(config),
      },
      null,
    );

    const beside = await neonMigrateIn(project, ["init", "--folder", "packages/db/drizzle"]);
    const none = await neonMigrateIn(project, [
      ...["init", "--folder", "packages/db/drizzle", "--no-config"],
    ]);

    expect(beside.stdout).toContain("\nConfig      packages/db/drizzle.config.json\n");
    expect(beside.stdout).toContain("\nMigrations  1 migration in packages/db/drizzle\n");
    expect(beside.stdout).toContain("\nLedger      app_meta.my_migrations (packages/db/drizzle");
    expect(none.stdout).toContain("\nLedger      drizzle.__drizzle_migrations (the default)\n");
  });

  test("no database at all, and one that does not answer", async () => {
    const project = makeProject({ ...PROJECT, "template.yaml": "Resources: {}" }, null);

    const none = await neonMigrateIn(project, ["init"]);
    const url = "postgres://u:geheim@127.0.0.1:1/d";
    const gone = await neonMigrateIn(project, ["init", "--url", url], {
      CONNECT_TIMEOUT_MS: "100",
    });

    expect([none.exitCode, gone.exitCode]).toEqual([0, 0]);
    expect(none.stdout).toContain("Database    Nothing says where the database is.");
    expect(none.stdout).toContain("Ledger      app_meta.my_migrations (drizzle.config.json)");
    expect(none.stdout).toContain("Deploys by  no file of a known tool\n");
    expect(none.stdout).toContain("init --for cdk|terraform|sam|sst|serverless|github-actions");
    expect(gone.stdout).toMatch(/\nDatabase {4}--url\. [A-Z_]+: .*127\.0\.0\.1/);
    expect(gone.stdout + gone.stderr).not.toContain("geheim");
  });
});

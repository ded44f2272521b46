import { execFile, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { type LocalAccount, startAccount } from "../../local/account/account.ts";
import { startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { installPackage, linkPackages } from "../setup/packed.ts";

/** A block of a page, and the last file that the text before it names. */
interface Block {
  readonly language: string;
  readonly text: string;
  readonly file: string;
}

/** A project that a page is followed in, with a database and an account of its own. */
interface Place {
  readonly app: string;
  readonly database: TestDatabase;
  readonly account: LocalAccount;
  /** Runs commands as a newcomer types them. @returns all that they print */
  type(commands: string): Promise<string>;
}

const FIXTURES = resolve("tests/fixtures/shop");
const PROGRAMS = {
  cdk: "aws-cdk/bin/cdk",
  tsx: "tsx/dist/cli.mjs",
  "drizzle-kit": "drizzle-kit/bin.cjs",
};
/** The pages want the AWS CLI, and Debian's and pip's are programs of a hundred megabytes. */
const hasAws = spawnSync("aws", ["--version"]).status === 0;

let scratch = "";
let installed = "";

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "getting-started-"));
  installed = join(scratch, "installed");
  await mkdir(join(installed, "node_modules"), { recursive: true });
  await installPackage(join(scratch, "source"), installed);
  await linkPackages(installed, "aws-cdk", "aws-cdk-lib", "constructs", "drizzle-kit");
  await linkPackages(installed, "drizzle-orm", "tsx");
  for (const [name, path] of Object.entries(PROGRAMS)) {
    await symlink(resolve("node_modules", path), join(installed, "node_modules/.bin", name));
  }
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

async function blocksOf(page: string): Promise<readonly Block[]> {
  const text = await readFile(`docs/getting-started/${page}.md`, "utf8");
  return Array.from(text.matchAll(/^```(\w+)\n(.*?)^```$/gms), (match) => {
    const [, language = "", content = ""] = match;
    const named = [...text.slice(0, match.index).matchAll(/`([\w./-]+\.(?:ts|json))`/g)];
    return { language, text: content, file: named.at(-1)?.[1] ?? "" };
  });
}

/** Makes a project of the fixture, whose package is installed. */
async function place(...fixtures: readonly string[]): Promise<Place> {
  const app = await mkdtemp(join(scratch, "app-"));
  await cp(installed, app, { recursive: true, verbatimSymlinks: true });
  for (const each of fixtures) await cp(join(FIXTURES, each), app, { recursive: true });
  const database = await createTestDatabase();
  const relay = await database.startRelay({ mode: "neon" });
  const variables = { NEON_WS_PROXY: relay.address };
  const account = await startAccount(variables);
  onTestFinished(async () => {
    await account.stop();
    await database.close();
  });
  // Neon's console shows the line with its quotes.
  await writeFile(join(app, ".env"), `DATABASE_URL='${database.url}'\n`);
  const env = {
    ...{ PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: scratch, ...variables },
    ...{ ...account.environment, npm_config_offline: "true", CDK_DISABLE_VERSION_CHECK: "1" },
    GITHUB_STEP_SUMMARY: join(app, "summary.md"),
  };
  const type = (commands: string) =>
    new Promise<string>((settle, reject) => {
      execFile("sh", ["-ec", commands], { cwd: app, env }, (error, stdout, stderr) => {
        if (error === null) settle(`${stdout}${stderr}`);
        else reject(new Error(`${commands}\n${stdout}${stderr}`));
      }).stdin?.end();
    });
  return { app, database, account, type };
}

const words = (text: string) => text.replaceAll(/\s+/g, " ").trim();

/** Looks for each line of a text that a page promises, wherever the columns stand. `…` stands for what differs. */
function expectLines(output: string, promised: string): void {
  for (const line of promised.trim().split("\n")) {
    const parts = words(line).split(" … ").map(escaped);
    expect(words(output)).toMatch(new RegExp(parts.join(".{1,120}")));
  }
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/**
 * Follows the blocks of a page in their order: files are written, commands run, and what they print is what the page shows.
 * @param instead runs commands that cannot be run here in another way; null for the others
 * @returns what the last commands have printed
 */
async function follow(
  { app, type }: Place,
  blocks: readonly Block[],
  instead: (commands: string) => Promise<string> | null = () => null,
): Promise<string> {
  let output = "";
  for (const { language, text, file } of blocks) {
    if (language === "sh") output = await (instead(text) ?? type(text));
    if (language === "text") expectLines(output, text);
    if (["ts", "json"].includes(language)) await writeFile(join(app, file), text);
  }
  return output;
}

const applied = ({ database }: Place) =>
  database.sql("select count(*)::int as rows from drizzle.__drizzle_migrations");

describe.skipIf(!hasAws)("GIVEN a project with drizzle.config.ts and an empty account", () => {
  test("WHEN somebody follows the page of CDK word for word THEN CDK's own deployment migrates the database, and a failing one is rolled back", async () => {
    const here = await place("base", "cdk");

    await follow(here, await blocksOf("cdk"));

    expect(await applied(here)).toEqual([{ rows: 2 }]);
    const shop = here.account.stacks.get("Shop");
    expect(shop?.status).toBe("CREATE_COMPLETE");

    await writeFile(
      join(here.app, "drizzle/0002_phones.sql"),
      "ALTER TABLE clients ADD phone int;",
    );
    await addToJournal(join(here.app, "drizzle/meta/_journal.json"), "0002_phones");
    const failed = await here.type("npx cdk deploy --require-approval never || true");

    expect(words(failed)).toContain(
      'Migration 0002_phones, statement 1 (line 1): relation "clients"',
    );
    expect(shop?.status).toBe("UPDATE_ROLLBACK_COMPLETE");
    expect(await applied(here)).toEqual([{ rows: 2 }]);
    await here.type("npx cdk destroy --force");
    expect(shop?.status).toBe("DELETE_COMPLETE");
  });

  test("WHEN somebody follows the page of Terraform THEN the invocation that the file declares migrates the database", async () => {
    const here = await place("base");

    await follow(here, await blocksOf("terraform"), (commands) =>
      commands.includes("terraform apply") ? applyTerraform(here) : null,
    );

    expect(await applied(here)).toEqual([{ rows: 2 }]);
  });

  test("WHEN somebody follows the page of GitHub Actions THEN the steps of the workflow migrate the database", async () => {
    const here = await place("base");
    const blocks = await blocksOf("github-actions");
    const [end] = blocks.slice(-1);

    await follow(here, blocks.slice(0, -1));
    const output = await runWorkflow(here);

    expectLines(output, end?.text ?? "");
    expect(await applied(here)).toEqual([{ rows: 2 }]);
  });
});

async function addToJournal(path: string, tag: string): Promise<void> {
  const journal = JSON.parse(await readFile(path, "utf8"));
  const last = journal.entries.at(-1);
  const next = { ...last, idx: last.idx + 1, when: last.when + 1_000, tag };
  await writeFile(path, JSON.stringify({ ...journal, entries: [...journal.entries, next] }));
}

/** Does what the file declares: the function with its secret, called with the hash of its own migrations. */
async function applyTerraform({ app, account, database }: Place): Promise<string> {
  const [file, variables, bundle] = await Promise.all(
    ["migrations.tf", "shop.auto.tfvars", "asset/bundle.json"].map((path) =>
      readFile(join(app, path), "utf8"),
    ),
  );
  const [, secret = ""] = /database_url_secret = "(.*)"/.exec(variables ?? "") ?? [];
  expect(file).toContain("variables = { DATABASE_URL_SECRET = var.database_url_secret }");
  expect(file).toContain('{ action = "up", migrationsHash = local.migrations_hash }');
  const { address } = await database.startRelay({ mode: "neon" });
  const environment = { ...account.environment, NEON_WS_PROXY: address };
  const lambda = startLambda({
    handlerDirectory: join(app, "asset"),
    environment: { ...environment, DATABASE_URL_SECRET: secret },
  });
  onTestFinished(() => lambda.stop());
  const { hash } = JSON.parse(bundle ?? "{}");
  const { payload } = await lambda.invoke({ action: "up", migrationsHash: hash });
  return `applied_migrations = ${Object(payload).applied.length}\n`;
}

/** Runs the commands of the job that deploys, but for the installation. */
async function runWorkflow({ app, type }: Place): Promise<string> {
  const file = await readFile(join(app, ".github/workflows/migrations.yml"), "utf8");
  const { env, steps } = parse(file).jobs.deploy;
  const commands: readonly string[] = steps
    .map(({ run = "" }: { readonly run?: string }) => run)
    .filter((run: string) => run !== "" && run !== "npm ci");
  return await type(`FUNCTION=${env.FUNCTION}\n${commands.join("\n")}`);
}

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { tagsSince } from "../../../lib/compile/since.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "check-"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function git(cwd: string, ...words: readonly string[]): void {
  const identity = [
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b.example",
    "-c",
    "commit.gpgsign=false",
  ];
  execFileSync("git", [...identity, ...words], { cwd, stdio: "ignore" });
}

/** A 1.0 folder below a new repository, with one migration in the first commit and one not even added. */
function makeRepository(): string {
  const root = mkdtempSync(join(scratch, "repository-"));
  const folder = join(root, "packages", "mit Leerzeichen", "drizzle");
  const add = (name: string) => {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, "migration.sql"), `create index on "${name}" ("id");\n`);
  };
  git(mkdirp(root), "init", "--quiet", "--initial-branch=main");
  add("20260101000000_first");
  git(root, "add", "-A");
  git(root, "commit", "--quiet", "-m", "first");
  add("20260102000000_second");
  git(root, "add", "-A");
  git(root, "commit", "--quiet", "-m", "second");
  add("20260103000000_third");
  return folder;
}

function mkdirp(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

describe("tagsSince", () => {
  let folder: string;
  let bundle: Bundle;

  beforeAll(async () => {
    folder = makeRepository();
    bundle = await compileBundle(folder);
  });

  test.each([
    ["20260101000000_first", ["20260102000000_second", "20260103000000_third"]],
    ["HEAD~1", ["20260102000000_second", "20260103000000_third"]],
    ["main", ["20260103000000_third"]],
    ["20260103000000_third", []],
  ])("since %s are new: %j", async (since, expected) => {
    expect(await tagsSince(bundle, folder, since)).toEqual(expected);
  });

  test.each(["nonsense", "--upload-pack=touch", "HEAD~99", "$(touch x)", ""])(
    "refuses %j, which names nothing",
    async (since) => {
      await expect(tagsSince(bundle, folder, since)).rejects.toMatchObject({
        code: "REQUEST_INVALID",
        message: expect.stringContaining("no commit of its git repository"),
      });
    },
  );

  test("says so where there is no repository", async () => {
    const plain = join(mkdtempSync(join(scratch, "plain-")), "drizzle");
    cpSync("tests/fixtures/folders/good", plain, { recursive: true });

    await expect(tagsSince(await compileBundle(plain), plain, "main")).rejects.toMatchObject({
      code: "REQUEST_INVALID",
      message: expect.stringContaining("is in no git repository"),
    });
  });
});

const check = (words: readonly string[], environment = {}) =>
  neonMigrate(["check", ...words], environment);

describe("neon-migrate check", () => {
  test("prints what it finds, annotates it in Actions, and ends with 1 for an error", async () => {
    const ended = await check(["--since", "0009_isolate_accounts"], { GITHUB_ACTIONS: "true" });

    expect(ended).toMatchObject({
      exitCode: 1,
      stderr: "Read drizzle.config.ts (folder ./drizzle).\n",
    });
    expect(ended.stdout).toContain(" --> drizzle/0010_index_foreign_keys.sql:1:1\n");
    expect(ended.stdout).toContain(
      "\n::error file=drizzle/0010_index_foreign_keys.sql,line=1,col=1,title=index-not-concurrent::",
    );
  });

  test("says which file of the folder is never applied, in text, as JSON and in Actions", async () => {
    const folder = "tests/fixtures/folders/orphan-file";

    const text = await check(["--folder", folder]);
    const json = await check(["--folder", folder, "--json"]);
    const actions = await check(["--folder", folder], { GITHUB_ACTIONS: "true" });

    expect(text.stdout).toMatch(/ORPHAN_FILE .*0001_forgotten\.sql .*never applied/);
    expect(JSON.parse(json.stdout).warnings).toMatchObject([{ code: "ORPHAN_FILE" }]);
    expect(actions.stdout).toContain("::warning title=ORPHAN_FILE::");
  });

  test("prints JSON alone, whatever the exit code", async () => {
    const ended = await check(["--json", "--fail-on", "never", "--since", "0009_isolate_accounts"]);

    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(ended.stdout)).toMatchObject({
      migrations: ["0010_index_foreign_keys"],
      failed: false,
      counts: { error: 2 },
      database: null,
    });
  });

  describe("with a database", () => {
    let database: TestDatabase;

    beforeAll(async () => {
      database = await createTestDatabase();
    });

    afterAll(() => database.close());

    test("grades what is pending there, and applies nothing", async () => {
      const folder = join(scratch, "graded");
      mkdirSync(join(folder, "20260101000000_first"), { recursive: true });
      writeFileSync(
        join(folder, "20260101000000_first", "migration.sql"),
        'create index "few_id" on "few" ("id");\n',
      );
      await database.sqlAsOwner("create table few (id int)");

      const ended = await check(["--folder", folder, "--url", database.url, "--relay", "--json"]);

      expect(ended.exitCode).toBe(0);
      expect(JSON.parse(ended.stdout)).toMatchObject({
        findings: [
          {
            rule: "index-not-concurrent",
            severity: "note",
            evidence: expect.stringContaining("the table has no rows"),
            file: join(folder, "20260101000000_first", "migration.sql"),
          },
        ],
        database: { name: database.name },
      });
      expect(await database.sql("select to_regclass('few_id') as made")).toEqual([{ made: null }]);
    });
  });
});

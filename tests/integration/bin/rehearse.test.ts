import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { useNeon } from "../../setup/neon.ts";
import { type Ended, neonMigrate } from "../../setup/neon-migrate.ts";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});

let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "rehearse-"));
  await scene.neon.branch("main").sql("create table orders (id int primary key, total int)");
  await scene.neon.branch("main").sql("insert into orders values (1, 1)");
});

afterEach(() => scene.neon.clearFaults());

afterAll(() => rmSync(scratch, { recursive: true }));

/** A Drizzle folder with one migration. */
function folderOf(name: string, sql: string): string {
  const folder = join(scratch, name);
  mkdirSync(join(folder, "meta"), { recursive: true });
  const entries = [{ idx: 0, when: 1, tag: `0000_${name}`, breakpoints: true }];
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify({ entries }));
  writeFileSync(join(folder, `0000_${name}.sql`), sql);
  return folder;
}

/** Rehearses by the command line, with the settings of the scene. */
function rehearse(
  sql: string,
  words: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const folder = folderOf(`step_${sql.length}`, sql);
  return neonMigrate(["rehearse", "--folder", folder, ...words], {
    ...scene.neon.environment,
    ...{ DATABASE_URL: scene.neon.productionUrl, NEON_WS_PROXY: scene.relay.address },
    ...environment,
  });
}

const WIDER = "alter table orders alter total type bigint;";

test("a rehearsal whose key or project is wrong says which setting, and shows no key", async () => {
  const key = scene.neon.addKey("another project");
  const wrong = [
    { NEON_API_KEY: "" },
    { NEON_API_KEY: "napi_mArKer0123456789" },
    { NEON_API_KEY: key },
    { NEON_API_KEY: key, NEON_PROJECT_ID: "" },
  ];

  const [none, unknown, foreign, unlisted] = await Promise.all(
    wrong.map((environment) => rehearse(WIDER, [], environment)),
  );

  for (const ended of [none, unknown, foreign, unlisted]) expect(ended?.exitCode).toBe(1);
  expect(none?.stderr).toMatch(/Set NEON_API_KEY_SECRET, NEON_API_KEY_PARAMETER or NEON_API_KEY/);
  expect(unknown?.stderr).toMatch(/401 authorization failed.*Look at the API key/s);
  expect(foreign?.stderr).toMatch(/404 project not found.*Look at NEON_PROJECT_ID/s);
  expect(unlisted?.stderr).toMatch(/403 this API key may not list projects.*Set NEON_PROJECT_ID/s);
  expect(JSON.stringify([none, unknown, foreign, unlisted])).not.toMatch(/mArKer/);
  expect(JSON.stringify([foreign, unlisted])).not.toContain(key);
});

test("on GitHub it writes the summary of its step by itself, and holds what it saw against the limits", async () => {
  const summary = join(scratch, "summary.md");
  const page = join(scratch, "page.html");
  const slow = `${WIDER} select pg_sleep(0.1);`;
  const limits = ["--limit-blocked-ms", "50", "--limit-total-ms", "600000"];

  const ended = await rehearse(slow, [...limits, "--html", page], {
    GITHUB_STEP_SUMMARY: summary,
    NEON_PROJECT_ID: "",
  });

  expect(ended.exitCode).toBe(1);
  expect(ended.stderr).toMatch(/REHEARSAL_LIMIT.*--limit-blocked-ms allows 50/s);
  const kept = /The longest standstill, [\d.]+ m?s, exceeds its limit of 50 ms\./;
  const held = /The time of all statements, [\d.]+ m?s, keeps its limit of 10 min 0 s\./;
  for (const text of [ended.stderr, readFileSync(page, "utf8"), readFileSync(summary, "utf8")]) {
    expect(text).toMatch(kept);
    expect(text).toMatch(held);
  }
  expect(readFileSync(summary, "utf8")).toMatch(/orders.*❌ \*\*/);
});

test("a file that is named gets the Markdown, and the summary does not", async () => {
  const [summary, file] = [join(scratch, "none.md"), join(scratch, "named.md")];
  writeFileSync(summary, "");

  const ended = await rehearse("alter table orders add check (total > 1);", ["--markdown", file], {
    GITHUB_STEP_SUMMARY: summary,
  });

  expect(ended.exitCode).toBe(1);
  expect(ended.stderr).toMatch(
    /MIGRATION_FAILED.*23514.*Failed on the branch\. Production was not touched\./s,
  );
  expect(readFileSync(file, "utf8")).toContain("MIGRATION");
  expect(readFileSync(summary, "utf8")).toBe("");
});

test("a branch that is left, of a protected parent, is named with its expiry, and nothing shows a password", async () => {
  const { id } = scene.neon.branch("main");
  await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });
  scene.neon.fail("deleteProjectBranch", { status: 503 }, 1_000);

  const ended = await rehearse(WIDER);
  scene.neon.clearFaults();
  const [name = ""] = scene.neon.branchNames().filter((each) => each !== "main");
  await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });
  await scene.deleteBranches();

  expect(ended.exitCode).toBe(0);
  expect(ended.stderr + ended.stdout).toMatch(
    new RegExp(`The branch ${name} \\(br-\\S+\\) could not be deleted.* Neon deletes it at 2`, "s"),
  );
  const password = new URL(scene.neon.productionUrl).password;
  expect(JSON.stringify(ended)).not.toContain(password);
  expect(JSON.stringify(ended)).not.toContain(scene.neon.apiKey);
});

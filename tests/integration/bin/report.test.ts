import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { failedRun, successfulRun } from "../../setup/html-pages.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";

let scratch = "";
let database: TestDatabase;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "report-"));
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.close();
  await rm(scratch, { recursive: true });
});

async function kept(name: string, content: string): Promise<string> {
  const file = join(scratch, name);
  await writeFile(file, content);
  return file;
}

describe("report", () => {
  const run = JSON.stringify(successfulRun());
  const failure = JSON.stringify(failedRun());

  test("adds the report as Markdown to a file", async () => {
    const file = await kept("failed.json", failure);
    const summary = await kept("summary.md", "# Before\n");

    const { exitCode, stdout, stderr } = await neonMigrate([
      ...["report", file, "--markdown", summary],
    ]);

    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(await readFile(summary, "utf8")).toMatch(
      /^# Before\n## ❌ 0002[\s\S]*MIGRATION&#95;FAILED/,
    );
  });

  test.each([
    ["a report", run, "5 migrations applied"],
    ["a report of a failed run", failure, "MIGRATION_FAILED"],
    [
      "what Lambda returns of a failed run",
      JSON.stringify({ errorType: "X", errorMessage: `It failed\n${failure}` }),
      "MIGRATION_FAILED",
    ],
    [
      "the lines of a stream",
      `{"type":"progress"}\n${JSON.stringify({ type: "report", report: JSON.parse(run) })}\n`,
      "5 migrations applied",
    ],
    [
      "a queued run",
      JSON.stringify({ runId: "x", report: JSON.parse(run) }),
      "5 migrations applied",
    ],
  ])("makes a page of %s", async (_name, content, words) => {
    const file = await kept("report.json", content);
    const page = join(scratch, "page.html");

    const { exitCode, stderr } = await neonMigrate(["report", file, "--html", page]);

    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(await readFile(page, "utf8")).toContain(words);
  });

  test("prints as text what up has printed, without --html", async () => {
    const { exitCode, stdout } = await neonMigrate(["report", await kept("text.json", run)]);

    expect(exitCode).toBe(0);
    expect(stdout).toContain("Applied 5 migrations by Drizzle's own migrator, in one transaction.");
  });

  test.each([
    ["no JSON", "hello", "holds no report"],
    ["another JSON", "{}", "holds no report"],
    [
      "a damaged report",
      JSON.stringify({ ...successfulRun(), applied: [null] }),
      "its applied is not that",
    ],
    [
      "a report with half a migration",
      JSON.stringify({ ...successfulRun(), pending: [{ tag: "0000_half" }] }),
      "its pending is not that",
    ],
    [
      "a report with a row of no ledger",
      JSON.stringify({ ...successfulRun(), drift: { ...successfulRun().drift, unknown: [{}] } }),
      "its unknown is not that",
    ],
    [
      "an error at no place",
      JSON.stringify({ ...failedRun(), error: { ...failedRun().error, statement: {} } }),
      "its error is not that",
    ],
    [
      "a report without its times",
      JSON.stringify({ ...successfulRun(), timings: {} }),
      "its totalMs is not that",
    ],
    [
      "a failed report without an error",
      JSON.stringify({ ...successfulRun(), status: "failed" }),
      "its error is not that",
    ],
  ])("refuses %s", async (_name, content, words) => {
    const { exitCode, stderr } = await neonMigrate(["report", await kept("wrong.json", content)]);

    expect(exitCode).toBe(1);
    expect(stderr).toContain("REPORT_INVALID");
    expect(stderr).toContain(words);
  });
});

describe("up --html", () => {
  const broken = [{ tag: "0000_wrong", when: 1, sql: "CREATE TABLE a (id int);\nSELECT 1/0;" }];

  test("writes the page of a run that failed, with the statement", async () => {
    const folder = await mkdtemp(join(scratch, "folder-"));
    writeJournaledFolder(folder, broken);
    const page = join(scratch, "failed.html");

    const words = ["up", "--folder", folder, "--relay", "--url", database.url, "--html", page];
    const { exitCode } = await neonMigrate(words);

    expect(exitCode).toBe(1);
    expect(await readFile(page, "utf8")).toContain("division by zero");
    expect(await readFile(page, "utf8")).toContain("2 | SELECT 1/0");
  });

  test("finds a file that cannot be written before it connects", async () => {
    const page = join(scratch, "missing", "page.html");

    const words = [
      "up",
      "--folder",
      scratch,
      "--url",
      "postgres://u:p@no.invalid/x",
      "--html",
      page,
    ];
    const { exitCode, stderr } = await neonMigrate(words);

    expect(exitCode).toBe(1);
    expect(stderr).toContain("PAGE_UNWRITABLE");
  });
});

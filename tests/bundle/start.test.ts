import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectReport } from "../setup/report-schema.ts";

/** All that `npm start -- --json` prints of one chapter. */
interface Chapter {
  readonly operation: {
    readonly status: string;
    readonly problems: readonly string[];
    readonly exchanges: readonly {
      readonly status: string;
      readonly reason: string | null;
      readonly data: Readonly<Record<string, string>>;
    }[];
  };
  readonly report: unknown;
  readonly reports: readonly unknown[];
  readonly theirs: { readonly exitCode: number; readonly output: string };
  readonly ours: Chapter["theirs"];
  readonly before: Chapter["theirs"];
  readonly after: Chapter["theirs"];
  readonly stopped: Chapter["theirs"];
  readonly passed: Chapter["theirs"];
  readonly history: Chapter["theirs"];
  readonly restored: Chapter["theirs"];
}

let scratch = "";
let exitCode: unknown;
let chapters: readonly Chapter[] = [];
let story = "";

/** Plays the story as somebody does who types `npm start` on a terminal with colours. */
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "start-"));
  // PostgreSQL runs as another user where we are root.
  chmodSync(scratch, 0o711);
  const program = spawn(process.execPath, ["--import", "tsx", "local/start.ts", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
    // What somebody has in a shell is not for the story.
    env: { ...process.env, TMPDIR: scratch, FORCE_COLOR: "1", DATABASE_URL_SECRET: "no-such" },
  });
  const [output, errors, [code]] = await Promise.all([
    text(program.stdout),
    text(program.stderr),
    once(program, "close"),
  ]);
  exitCode = code;
  story = stripVTControlCharacters(errors);
  chapters = JSON.parse(output);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function chapter(number: number): Chapter {
  const found = chapters[number - 1];
  if (found === undefined) throw new Error(`There is no chapter ${number}:\n${story}`);
  return found;
}

const updated = (data: object) => ({
  status: "UPDATE_COMPLETE",
  problems: [],
  exchanges: [{ status: "SUCCESS", reason: null, data }],
});

describe("GIVEN the story that npm start tells", () => {
  test("WHEN it has ended THEN all came out as it is told, and nothing is left of it", () => {
    expect(exitCode).toBe(0);
    expect(chapters).toHaveLength(11);
    // The loader keeps what it has compiled, and whoever runs as root a copy of PostgreSQL's programs.
    const kept = /^tsx-|programs|binaries/;
    expect(readdirSync(scratch).filter((name) => !kept.test(name))).toEqual([]);
  });

  test("WHEN the stack is created, and a pipeline calls once more THEN all is applied once", () => {
    expect(chapter(1).operation).toMatchObject({
      status: "CREATE_COMPLETE",
      exchanges: [{ data: { status: "applied", executor: "drizzle", appliedCount: "11" } }],
    });
    expect(expectReport(chapter(2).report)).toMatchObject({ status: "up-to-date", roundTrips: 2 });
  });

  test("WHEN two deploy at once THEN one of them applies", () => {
    const { operation, reports } = chapter(3);
    const ends = [
      operation.exchanges[0]?.data.status,
      ...reports.map((each) => expectReport(each).status),
    ];

    expect(operation.status).toBe("UPDATE_COMPLETE");
    expect(ends.toSorted()).toEqual(["applied", "up-to-date"]);
  });

  test("WHEN check has found something THEN what it says instead passes, and is deployed", () => {
    const { before, after, operation } = chapter(4);

    expect(before).toMatchObject({ exitCode: 1 });
    expect(before.output).toContain("CREATE INDEX CONCURRENTLY");
    expect(after).toMatchObject({ exitCode: 0 });
    expect(operation).toMatchObject(updated({ latest: "0012_search_accounts" }));
  });

  test("WHEN a migration is broken THEN the stack goes back with its reason, and the old code answers", () => {
    const { status, exchanges } = chapter(5).operation;

    expect(status).toBe("UPDATE_ROLLBACK_COMPLETE");
    expect(exchanges).toMatchObject([
      { status: "FAILED", reason: expect.stringContaining("0013_start_trials, statement 2") },
      { status: "SUCCESS", data: { status: "up-to-date", latest: "0012_search_accounts" } },
    ]);
    expect(story).toMatch(/ROLLBACK_COMPLETE.*version 3 is live.*no table is left of it/s);
  });

  test("WHEN drizzle-kit has run the same THEN both have failed, and ours names place and column", () => {
    const { theirs, ours } = chapter(6);

    expect(theirs.exitCode).toBe(1);
    expect(theirs.output).toContain("applying migrations");
    expect(ours.exitCode).toBe(1);
    expect(stripVTControlCharacters(ours.output)).toMatch(/drizzle\/0013_start_trials\.sql:4:\d+/);
    expect(ours.output).toContain("a.created_at");
  });

  test("WHEN it is corrected THEN it is deployed", () => {
    expect(chapter(7).operation).toMatchObject(updated({ latest: "0013_start_trials" }));
    expect(story).toContain("version 5 is live");
  });

  test("WHEN production's data contradicts a migration THEN its rehearsal stops, and the next one passes", () => {
    const { stopped, passed, operation } = chapter(8);

    expect([stopped.exitCode, passed.exitCode]).toEqual([1, 0]);
    expect(stopped.output).toContain("0014_unique_names");
    expect(passed.output).toContain("public.accounts");
    expect(operation).toMatchObject(updated({ latest: "0014_unique_names" }));
  });

  test("WHEN the state before it is asked for THEN it is in a branch, and production stays", () => {
    const { history, restored } = chapter(9);

    expect(history.output).toContain("CloudFormation");
    expect(restored.output).toContain("main was not touched");
    expect(story).toContain("the accounts are Acme, Acme, Umbrella");
  });

  test("WHEN it is read THEN no line is longer than 100 columns, and none is ticked off as good", () => {
    const lines = story.split("\n");

    expect(lines.filter((line) => line.length > 100)).toEqual([]);
    // A program that is shown may tick off its own.
    expect(lines.filter((line) => line.includes("✓") && !line.includes("│"))).toEqual([]);
  });

  test("WHEN it says where to go next THEN all of that is there", () => {
    const [, next = ""] = story.split("Where to go next");
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
    const paths = Array.from(
      next.matchAll(/(?:docs|infra)\/[\w./-]+\w|README\.md/g),
      ([path]) => path,
    );

    expect(paths.length).toBeGreaterThan(4);
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
    for (const [, script] of next.matchAll(/npm run (\w+)/g))
      expect(scripts).toHaveProperty([script ?? ""]);
  });
});

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { parse } from "libpg-query";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { createProgram } from "../../bin/cli.ts";
import { parseRequest, REQUEST_KEYS } from "../../lib/request.ts";
import {
  type Block,
  blocksOf,
  commandLines,
  documentedPages,
  isScenario,
  itemsOf,
  wordsOf,
} from "../setup/pages.ts";
import { expectAmendment, expectReport } from "../setup/report-schema.ts";

const pages = documentedPages();
const scripts: Readonly<Record<string, string>> = JSON.parse(
  readFileSync("package.json", "utf8"),
).scripts;
const terraform = readdirSync("infra/examples", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".tf"))
  .flatMap((name) => readFileSync(`infra/examples/${name}`, "utf8").split("\n"))
  .map((line) => line.trim());

/** What is done with a block of a language. A block of any other language fails. */
const CHECKS: Readonly<Record<string, (block: Block) => unknown>> = {
  text: () => undefined,
  // Commands that need a registry or an account, and what they print.
  console: () => undefined,
  // The compiler reads them, in `tests/trials/packed.test.ts`, or a scenario runs them as files.
  ts: () => undefined,
  sh: checkShell,
  // Statements, or columns of a table.
  sql: ({ text }) => parse(text).catch(() => parse(`create table t (${text})`)),
  json: ({ text }) => checkJson(JSON.parse(text)),
  yaml: ({ text }) => {
    expect(parseAllDocuments(text).flatMap(({ errors }) => errors)).toEqual([]);
  },
  hcl: ({ text }) => {
    const lines = text.split("\n").map((line) => line.trim());
    expect(lines.filter((line) => !terraform.includes(line))).toEqual([]);
  },
};

function checkShell(block: Block): void {
  execFileSync("sh", ["-n"], { input: block.text, stdio: "pipe" });
  for (const line of commandLines(block)) {
    const words = wordsOf(line);
    const start = words[0] === "npx" ? 1 : 0;
    if (words[start] === "neon-migrate") checkWords(words.slice(start + 1));
    const [program, verb, script = ""] = words;
    if (program === "npm" && verb === "run") expect(scripts).toHaveProperty([script]);
  }
}

/** Reads a command line as the program does, and does nothing of it. */
function checkWords(words: readonly string[]): void {
  const program = createProgram(() => undefined);
  [program, ...program.commands].forEach(disarm);
  program.parse([...words], { from: "user" });
}

function disarm(command: Command): void {
  command.action(() => undefined).configureOutput({ outputError: () => undefined });
}

function checkJson(value: object): void {
  if ("changes" in value) expectAmendment(value);
  else if ("schemaVersion" in value) expectReport(value);
  else if (Object.keys(value).some((key) => REQUEST_KEYS.includes(key))) parseRequest(value);
}

/** Its commands need a state machine: `tests/bundle/fleet-command.test.ts` runs them. */
const RUN_ELSEWHERE = ["docs/how-to/migrate-a-fleet.md"];

describe("a page of the documentation", () => {
  test.each(pages)("%s has only blocks that are checked, and right", async (page) => {
    for (const block of blocksOf(page)) {
      const { language, line, text } = block;
      const check = CHECKS[language];
      if (check === undefined) expect.fail(`${page}:${line}: nobody checks "${language}"`);
      try {
        await check(block);
      } catch (cause) {
        throw new Error(`${page}:${line}: ${cause}\n${text}`, { cause });
      }
    }
  });

  test("that is a how-to and has commands is run, in tests/integration/docs", () => {
    const notRun = pages.filter(
      (page) =>
        page.startsWith("docs/how-to/") &&
        blocksOf(page).some(({ language }) => language === "sh") &&
        !isScenario(page) &&
        !RUN_ELSEWHERE.includes(page),
    );

    expect(notRun).toEqual([]);
  });

  test.each(pages.filter(isScenario))("%s begins with what a reader has", (page) => {
    const orders = itemsOf(page).filter(({ kind }) => kind === "order");

    expect(orders[0]).toMatchObject({ words: ["project"] });
  });
});

describe("the checks", () => {
  const block = (language: string, text: string): Block => ({
    ...{ kind: "block", page: "a page", line: 1 },
    ...{ language, text },
  });

  test.each([
    ["sh", "npx neon-migrate up --colour red\n"],
    ["sh", "npx neon-migrate migrate\n"],
    ["sh", "if true\n"],
    ["sh", "npm run no-such-script\n"],
    ["sql", "CREATE TABEL a ();\n"],
    ["json", '{ "action": "down" }\n'],
    ["yaml", "a: [\n"],
    ["hcl", 'resource "nothing" {}\n'],
  ])("refuse %s that is wrong: %s", async (language, text) => {
    const check = async () => CHECKS[language]?.(block(language, text));

    await expect(check()).rejects.toThrow();
  });
});

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { runCli } from "../../../../bin/cli.ts";

const COMMANDS = [
  ...["up", "plan", "status", "rehearse", "history", "invoke", "report", "init", "check"],
  ...["baseline", "repair", "bundle", "local", "smoke", "completion"],
];

/** Runs a command line that never comes to its work, and returns what it printed. */
async function said(...words: string[]) {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const log = vi.spyOn(console, "log").mockImplementation((text) => void stdout.push(`${text}\n`));
  const out = vi
    .spyOn(process.stdout, "write")
    .mockImplementation((text) => stdout.push(`${text}`) > 0);
  const err = vi
    .spyOn(process.stderr, "write")
    .mockImplementation((text) => stderr.push(`${text}`) > 0);
  try {
    const exitCode = await runCli(words);
    const plain = (texts: readonly string[]) => stripVTControlCharacters(texts.join(""));
    return { exitCode, stdout: plain(stdout), stderr: plain(stderr) };
  } finally {
    for (const spy of [log, out, err]) spy.mockRestore();
  }
}

describe("a word that is no command", () => {
  test.each([
    ["migrate", "Did you mean neon-migrate up?"],
    ["deploy", "Did you mean neon-migrate up?"],
    ["apply", "Did you mean neon-migrate up?"],
    ["latest", "Did you mean neon-migrate up?"],
    ["migrate:latest", "Did you mean neon-migrate up?"],
    ["db:migrate", "Did you mean neon-migrate up?"],
    ["Migrate-Up", "Did you mean neon-migrate up?"],
    ["info", "Did you mean neon-migrate status?"],
    ["dry-run", "Did you mean neon-migrate plan?"],
    ["validate", "Did you mean neon-migrate check?"],
    ["lint", "Did you mean neon-migrate check?"],
    ["doctor", "Did you mean neon-migrate smoke?"],
    ["smoke-test", "Did you mean neon-migrate smoke?"],
    ["stamp", "Did you mean neon-migrate baseline?"],
    ["rollback", "There are no migrations backwards:"],
    ["db:rollback", "There are no migrations backwards:"],
    ["undo", "There are no migrations backwards:"],
    ["down", "There are no migrations backwards:"],
    ["generate", "drizzle-kit generate"],
    ["push", "drizzle-kit generate, and then neon-migrate up."],
    ["reset", "neon-migrate never empties a database."],
    ["statu", "(Did you mean status?)"],
  ])("%s: %s", async (word, advice) => {
    const { exitCode, stdout, stderr } = await said(word);

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(
      `error: unknown command '${word}'\n${advice.startsWith("(") ? advice : ""}`,
    );
    expect(stderr).toContain(advice);
    expect(stderr).toMatch(/\nRun neon-migrate --help for the commands\.\n$/);
  });

  test.each(["frobnicate", "constructor", ""])("has no advice for %j", async (word) => {
    const { stderr } = await said(word);

    expect(stderr.split("\n")).toHaveLength(3);
  });
});

describe("wrong usage", () => {
  test.each([
    [
      ["up", "--lock-timeout-ms", "abc"],
      "option '--lock-timeout-ms <ms>' argument 'abc' is invalid. Allowed: a whole number of milliseconds from 0 to 86400000.",
    ],
    [
      ["plan", "--timeout-ms", "0"],
      "option '--timeout-ms <ms>' argument '0' is invalid. Allowed: a whole number of milliseconds from 1 to 86400000.",
    ],
    [
      ["invoke", "f", "--transaction", "some"],
      "option '--transaction <auto|all|each>' argument 'some' is invalid. Allowed choices are auto, all, each.",
    ],
    [["check", "--floder", "x"], "unknown option '--floder'\n(Did you mean --folder?)"],
    [["repair"], "repair takes exactly one of --accept TAG, --merge-ledgers and --resolve TAG"],
    [["baseline"], "required option '--to <tag>' not specified"],
    [["up", "--quiet", "--verbose"], "option '--quiet' cannot be used with option '--verbose'"],
    [["init", "--yes"], "error: --out, --name and --yes belong to --for TOOL"],
    [["init", "--for", "pulumi"], "Allowed choices are cdk, terraform, sam, sst, serverless,"],
    [["smoke", "--clean", "drizzle"], "Allowed: the eight digits that a run has named."],
    [
      ["smoke", "--clean", "0badcafe", "--yes"],
      "option '--clean <id>' cannot be used with option '--yes'",
    ],
    [["completion", "csh"], "Allowed choices are bash, zsh, fish."],
  ])("%j speaks of the flag, and names the command's help", async (words, message) => {
    const { exitCode, stderr } = await said(...words);

    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain(
      `\nRun neon-migrate ${words[0]} --help for its options and an example.\n`,
    );
    expect(stderr).not.toMatch(/request|<command>/);
  });
});

describe("--help", () => {
  test.each(COMMANDS)("%s has an example, and a page that is there", async (command) => {
    const { exitCode, stdout } = await said(command, "--help");

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`\\nExamples:\\n {2}# .*\\n {2}neon-migrate ${command}`));
    const [, page = ""] = /\nDocumentation: (.*)\n/.exec(stdout) ?? [];
    expect(existsSync(page)).toBe(true);
    expect(stdout).not.toContain("default: false");
  });

  test("lists every command", async () => {
    const { stdout } = await said("--help");

    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
  });

  test("shows the options that mean something, with their defaults; the others are taken all the same", async () => {
    const [up, plan, status] = await Promise.all(
      ["up", "plan", "status"].map(async (command) => (await said(command, "--help")).stdout),
    );

    expect(up).toContain("--ddl-lock-timeout-ms <ms>");
    expect(up?.replace(/\s+/g, " ")).toContain("how long to wait for another run (default: 60000)");
    expect(up?.replace(/\s+/g, " ")).toContain(
      "--transaction <auto|all|each> one for all, or per migration (default: auto)",
    );
    expect(plan).toContain("--transaction");
    expect(plan).not.toContain("lock-timeout-ms");
    for (const flag of ["--transaction", "--executor", "--out-of-order", "lock-timeout-ms"]) {
      expect(status).not.toContain(flag);
    }
    const taken = await said(
      "status",
      "--executor",
      "auto",
      "--lock-timeout-ms",
      "1",
      "--nonsense",
    );
    expect(taken.stderr).toContain("error: unknown option '--nonsense'");
  });

  test.each([
    ["up", true],
    ["status", true],
    ["init", true],
    ["baseline", true],
    ["check", false],
  ])("%s names the variables that it reads", async (command, readsUrl) => {
    const { stdout } = await said(command, "--help");

    const reads = (name: string) => new RegExp(`^ {2}${name} {2}`, "m").test(stdout);
    expect(["LEDGER_TABLE", "NEON_WS_PROXY"].map(reads)).toEqual([true, true]);
    expect(["DATABASE_URL", "DATABASE_URL_SECRET"].map(reads)).toEqual([readsUrl, readsUrl]);
    expect(/default:\s+DATABASE_URL\s+…/.test(stdout)).toBe(readsUrl);
  });
});

describe("completion", () => {
  test.each([
    [["st"], ["status"]],
    [["he"], ["help"]],
    [["--v"], ["--version"]],
    [["status", "--tra"], []],
    [["up", "--tra"], ["--transaction"]],
    [
      ["up", "--transaction", ""],
      ["auto", "all", "each"],
    ],
    [
      ["up", "--transaction", "a"],
      ["auto", "all"],
    ],
    [["check", "--fail-on", "w"], ["warning"]],
    [["plan", "--json", "--sq"], ["--sql"]],
    [["up", "--url", ""], []],
    [["up", "--folder", "package.js"], ["package.json"]],
    [["completion", "f"], ["fish"]],
    [["help", "inv"], ["invoke"]],
    [["nothing", "-"], []],
  ])("bash completes %j to %j", async (words, expected) => {
    const { stdout } = await said("completion", "bash");
    const line = ["neon-migrate", ...words].map((word) => `'${word}'`).join(" ");

    const answer = execFileSync("bash", ["--norc", "-eu"], {
      input: `${stdout}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length}; _neon_migrate || true; printf '%s\\n' "\${COMPREPLY[@]-}"`,
      encoding: "utf8",
    });

    expect(answer.split("\n").filter((word) => word !== "")).toEqual(expected);
  });

  test("zsh and fish get every command and option, and values where they are known", async () => {
    const [zsh, fish] = [await said("completion", "zsh"), await said("completion", "fish")];

    for (const command of COMMANDS) {
      expect(zsh.stdout).toMatch(new RegExp(`^ {4}${command}\\) _arguments '-`, "m"));
      expect(fish.stdout).toContain(
        `complete -c neon-migrate -n __fish_use_subcommand -a ${command} -d '`,
      );
    }
    expect(zsh.stdout).toContain(
      "'--transaction[one for all, or per migration (default\\: auto)]:value:(auto all each)'",
    );
    expect(fish.stdout).toContain(
      "complete -c neon-migrate -n '__fish_seen_subcommand_from up' -l transaction -x -a 'auto all each' -d 'one for all, or per migration (default: auto)'",
    );
    expect(zsh.stdout).toContain(":file:_files'");
    expect(fish.stdout).toContain(
      "-d 'reach the URL\\'s host over TCP, through a relay in this process'",
    );
  });
});

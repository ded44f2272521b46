import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const execute = promisify(execFile);

/** The programs behind `npm run`, by the file that package.json names. */
const PROGRAMS = [
  ["faults", "tests/trials/faults/main.ts"],
  ["rehearsals", "tests/trials/rehearsals/main.ts"],
  ["bench", "bench/speed/main.ts"],
  ["bench:commands", "bench/commands/main.ts"],
  ["bench:fleet", "bench/fleet/databases.ts"],
  ["bench:line", "bench/line.ts"],
  ["bench:lockout", "bench/lockout/main.ts"],
  ["bench:own-time", "bench/rehearsal/own-time.ts"],
  ["bench:prediction", "bench/rehearsal/prediction.ts"],
  ["bench:rehearsal", "bench/rehearsal/main.ts"],
  ["fidelity", "tests/trials/fidelity/main.ts"],
  ["fidelity:locks", "tests/trials/fidelity/locks.ts"],
  ["bench:traffic", "tests/trials/traffic/main.ts"],
  ["local", "local/serve-main.ts"],
  ["examples", "tests/examples/main.ts"],
  ["start", "local/start.ts"],
] as const;

async function run(file: string, ...words: readonly string[]): Promise<object> {
  const done = await execute(process.execPath, ["--import", "tsx", file, ...words]).catch(
    (failed: unknown) => failed,
  );
  const { code = 0, stdout, stderr } = Object(done);
  return { code, stdout, stderr };
}

const NO_STACK = expect.not.stringMatching(/^ +at |node:internal/m);

describe.each(PROGRAMS)("npm run %s", (name, file) => {
  const usage = expect.stringMatching(`usage: npm (run )?${name}\\b`);

  test("prints its usage for --help, and does nothing", async () => {
    const words = name === "local" ? ["-h"] : ["--help", "--runs"];

    expect(await run(file, ...words)).toEqual({ code: 0, stdout: usage, stderr: "" });
  });

  test("refuses an option that it does not know, with its usage", async () => {
    const ended = await run(file, "--tires", "3");

    expect(ended).toEqual({ code: 2, stdout: "", stderr: usage });
    expect(ended).toMatchObject({ stderr: expect.stringContaining("Unknown option '--tires'") });
    expect(ended).toMatchObject({ stderr: NO_STACK });
  });
});

test.each([
  ["a number that is none", "bench/speed/main.ts", ["--runs", "many"], '"many" is not a whole'],
  ["a negative number", "tests/trials/faults/main.ts", ["--tries=-1"], '"-1" is not a whole'],
  ["nothing for a number", "tests/trials/traffic/main.ts", ["--hold-ms="], '"" is not a whole'],
  ["no value", "tests/trials/faults/main.ts", ["--seed"], "argument missing"],
  ["an unknown scenario", "tests/trials/faults/main.ts", ["--only", "kil"], 'no "kil"'],
  ["no folder", "tests/trials/fidelity/main.ts", [], "No folder is named"],
  ["a missing folder", "tests/trials/fidelity/main.ts", ["nowhere"], "nowhere does not exist"],
  ["a word too many", "bench/speed/main.ts", ["fast"], "Unexpected argument 'fast'"],
])(
  "%s is refused with the usage, and without a stack trace",
  async (_name, file, words, reason) => {
    const ended = await run(file, ...words);

    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(reason) });
    expect(ended).toMatchObject({ stderr: expect.stringContaining("usage: npm run") });
    expect(ended).toMatchObject({ stderr: NO_STACK });
  },
);

test("these are all programs of ours that package.json names for people", async () => {
  const { default: manifest } = await import("../../package.json", { with: { type: "json" } });
  const programs = Object.entries(manifest.scripts)
    .map(([name, line]) => [name, line.replace("tsx ", "")] as const)
    .filter(([name, line]) => name !== "bundle" && /^\S+\.ts$/.test(line));

  expect(new Map(programs)).toEqual(new Map(PROGRAMS));
});

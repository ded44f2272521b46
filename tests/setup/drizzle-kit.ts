import { resolve } from "node:path";
import { runProgram } from "./run-program.ts";

/** The end of `drizzle-kit migrate`. */
export interface KitEnded {
  readonly exitCode: number | null;
  readonly output: string;
  /** All that it says of its work: without what it has read, and without the frames of its spinner. */
  readonly said: string;
}

const KITS = {
  "0.31": resolve("node_modules/drizzle-kit/bin.cjs"),
  "1.0": resolve("tests/drizzle-1/node_modules/drizzle-kit/bin.cjs"),
};

/** What it says before it begins, and while it works. */
const FRAME = /\[[⣷⣯⣟⡿⢿⣻⣽⣾]\] applying migrations\.\.\./gu;
const BEGINNING = [
  "No config path provided, using default 'drizzle.config.ts'",
  "Reading config file '",
  "Using 'pg' driver for database querying",
];
/** How a terminal is told to go back to the beginning of its line. */
const REWIND = "\u001b[2K\u001b[1G";

/** Runs `drizzle-kit migrate` in a project, as a pipeline does: without a terminal. */
export async function kitMigrate(
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
  version: keyof typeof KITS = "0.31",
): Promise<KitEnded> {
  const { code, output } = await runProgram(process.execPath, [KITS[version], "migrate"], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
  });
  return { exitCode: code, output, said: saidIn(output) };
}

function saidIn(output: string): string {
  return output
    .replaceAll(REWIND, "")
    .replaceAll(FRAME, "")
    .split("\n")
    .filter((line) => !BEGINNING.some((each) => line.startsWith(each)))
    .join("\n")
    .trim();
}

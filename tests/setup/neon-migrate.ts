import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { inject } from "vitest";

/** The end of a command line. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** V8's optimising compiler for WebAssembly takes more time than it saves the parser in so short a process. */
const NODE_FLAGS = ["--liftoff-only"];

/** Runs the command line in a process of its own, which gets no database from our environment. */
export function neonMigrate(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  whileRunning: (kill: (signal: NodeJS.Signals) => void) => Promise<void> = async () => undefined,
  cwd: string = process.cwd(),
): Promise<Ended> {
  const program = resolve(inject("cliProgram"));
  const child = spawn(process.execPath, [...NODE_FLAGS, program, ...words], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((done, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => done({ exitCode, stdout, stderr }));
    whileRunning((signal) => child.kill(signal)).catch((thrown: unknown) => {
      child.kill("SIGKILL");
      reject(thrown);
    });
  });
}

/** The same in a folder. */
export function neonMigrateIn(
  cwd: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return neonMigrate(words, environment, undefined, cwd);
}

import { spawn } from "node:child_process";

/** A program's end, with all that it has printed on both streams. */
export interface ProgramEnded {
  /** Null after a signal. */
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program without a terminal and without input, and waits for its end. */
export function runProgram(
  program: string,
  words: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<ProgramEnded> {
  const child = spawn(program, words, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((done, reject) => {
    child.on("error", reject);
    child.on("close", (code) => done({ code, output }));
  });
}

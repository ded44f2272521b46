import { execFile } from "node:child_process";
import { isDeepStrictEqual, promisify } from "node:util";

/** One thing that is tried with an example. */
export interface Check {
  /** What checks it: the name of a tool, or of the stand-in that it runs on. */
  readonly by: string;
  /** @throws whatever is wrong; `ToolMissing` where the machine has no such tool */
  run(): Promise<void>;
}

/** The machine does not have the tool. */
export class ToolMissing extends Error {}

const run = promisify(execFile);

/**
 * Runs a tool to its end.
 * @returns what it printed on standard output
 * @throws ToolMissing where there is none; Error with all that it printed where it exits with another code than 0
 */
export async function runTool(
  tool: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    const { stdout } = await run(tool, args, {
      ...options,
      env: { ...process.env, ...options.env },
    });
    return stdout;
  } catch (thrown) {
    const { code, stdout, stderr } = Object(thrown);
    if (code === "ENOENT") throw new ToolMissing(tool);
    throw new Error(`${tool} ${args.join(" ")}\n${stdout}${stderr}`, { cause: thrown });
  }
}

/** @throws Error that shows both, unless they are equal */
export function expectEqual(seen: unknown, expected: unknown): void {
  if (isDeepStrictEqual(seen, expected)) return;
  throw new Error(`expected ${JSON.stringify(expected)}, but saw ${JSON.stringify(seen)}`);
}

import { execFileSync } from "node:child_process";

/** A command line, and where it runs. */
export interface Timed {
  /** The program and its words. */
  readonly words: readonly [string, ...string[]];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** The time that a process took, with all that it started. */
export interface ProcessTime {
  readonly wallMs: number;
  /** By the kernel's count: other processes of the machine change it little. */
  readonly processorMs: number;
}

/** Only a shell tells the processor time of a foreign process that is gone. */
const SHELL = `TIMEFORMAT="%3R %3U %3S"; { time "$@" >/dev/null 2>&3; } 3>/dev/null 2>&1; echo "$?"`;

/**
 * Runs a command once. What it prints is thrown away.
 * @returns null for a command that fails
 */
export function timeProcess({ words, cwd, environment }: Timed): ProcessTime | null {
  const told = execFileSync("bash", ["-c", SHELL, "bash", ...words], {
    cwd,
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
  const [wall = 0, user = 0, system = 0, code] = told.trim().split(/\s/).map(Number);
  if (code !== 0) return null;
  return { wallMs: wall * 1_000, processorMs: (user + system) * 1_000 };
}

/**
 * Runs commands in turn, so that each has its share of what else the machine does. The first turn warms the file cache, and
 * does not count. A command that fails is left out.
 */
export function timeInTurn<Command extends Timed>(
  commands: readonly Command[],
  runs: number,
): ReadonlyMap<Command, readonly ProcessTime[]> {
  const times = new Map<Command, ProcessTime[]>(commands.map((each) => [each, []]));
  for (let turn = -1; turn < runs; turn += 1) {
    for (const [command, seen] of times) {
      const time = timeProcess(command);
      if (time === null) times.delete(command);
      else if (turn >= 0) seen.push(time);
    }
  }
  return times;
}

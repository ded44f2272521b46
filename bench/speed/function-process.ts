import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** One start of the function, in a process of its own. */
export interface Start {
  /** The Node that runs the function. Default: our own. */
  readonly node?: string;
  /** The folder with `index.mjs` and the files that it reads. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The function's memory, in MB; null leaves V8 its own limits. */
  readonly memoryMb: number | null;
  /** The event of the call. Default: an empty object. */
  readonly event?: unknown;
}

/** The times, the memory and the answer of one start. */
export interface Started {
  /** From the start of the process to a handler that can be called. */
  readonly readyMs: number;
  /** From the ready handler to the answer. */
  readonly answerMs: number;
  /** The processor time of it, which other processes of the machine change little. */
  readonly processorMs: number;
  /** The peak memory of the process. */
  readonly peakMb: number;
  readonly answer: unknown;
}

/** The output of the process. Times are epoch ms, with fractions. */
interface Told {
  readonly readyAt: number;
  readonly answeredAt: number;
  readonly processorMs: number;
  readonly peakKb: number;
  readonly answer: unknown;
}

/**
 * Calls the handler as Lambda does. It reads the peak of the memory from `VmHWM`, which begins anew with the program:
 * the peak of `resourceUsage` is inherited from the parent at the fork.
 */
const STARTER = `
import { existsSync, readFileSync } from "node:fs";
const [url, event] = process.argv.slice(1);
const { handler } = await import(url);
const now = () => performance.timeOrigin + performance.now();
const readyAt = now();
const before = process.cpuUsage();
const context = { awsRequestId: "start", invokedFunctionArn: "arn:start", getRemainingTimeInMillis: () => 900000 };
const answer = await handler(JSON.parse(event), context);
const answeredAt = now();
const { user, system } = process.cpuUsage(before);
const processorMs = (user + system) / 1000;
const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
const peakKb = Number(/VmHWM:\\s+(\\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS);
process.stdout.write(JSON.stringify({ readyAt, answeredAt, processorMs, peakKb, answer }), () => process.exit(0));
`;

/** Starts the function, calls it once, and waits for its answer. */
export async function startFunction({
  node = process.execPath,
  folder,
  environment,
  memoryMb,
  event = {},
}: Start): Promise<Started> {
  const url = pathToFileURL(join(folder, "index.mjs")).href;
  const words = ["--input-type=module", "--eval", STARTER, url, JSON.stringify(event)];
  const startedAt = performance.timeOrigin + performance.now();
  const output = await run(node, [...memoryFlags(memoryMb), ...words], environment);
  // Written by the starter above.
  const { readyAt, answeredAt, processorMs, peakKb, answer } = JSON.parse(output) as Told;
  return {
    readyMs: readyAt - startedAt,
    answerMs: answeredAt - readyAt,
    processorMs,
    peakMb: peakKb / 1_024,
    answer,
  };
}

/** Returns V8's limits as AWS' bootstrap script sets them: a tenth for young objects, the rest for old ones. */
function memoryFlags(memoryMb: number | null): readonly string[] {
  if (memoryMb === null) return [];
  const youngMb = Math.floor(memoryMb / 10);
  return [
    `--max-semi-space-size=${Math.floor(youngMb / 2)}`,
    `--max-old-space-size=${memoryMb - youngMb}`,
  ];
}

/**
 * Runs a program to its end, without our own environment.
 * @throws Error with the text of its standard error, where it ends with another code than 0
 */
export function run(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...words], {
      env: { ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let errors = "";
    child.stdout.on("data", (part) => {
      output += part;
    });
    child.stderr.on("data", (part) => {
      errors += part;
    });
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(errors))));
  });
}

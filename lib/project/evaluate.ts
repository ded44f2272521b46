import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { toError } from "../errors.ts";
import { counted } from "../text.ts";
import { invalidConfig } from "./errors.ts";

/** The circumstances of a file's evaluation. */
interface Evaluation {
  /** The file's name, for messages. */
  readonly file: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onWait?: (seconds: number) => void;
  readonly limitMs?: number;
}

/** Long enough for a file that imports half of an app on a slow machine. */
const LIMIT_MS = 60_000;
const SIGN_OF_LIFE_MS = 5_000;

/** The fields that are read. The others may be functions or clients, which cannot leave their process. */
const FIELDS = ["dialect", "out", "driver", "migrations", "dbCredentials"];

/**
 * The program of the process that evaluates a file. It is a text, because it must run as it is where our own modules
 * are TypeScript, compiled, or part of a bundle. drizzle-kit gives `defineConfig` its argument back, and so does this
 * where drizzle-kit is not installed, as in an image without development dependencies.
 */
const PROGRAM = `
const [loader, file, cache] = process.argv.slice(1);
process.once("disconnect", () => process.exit());
process.channel.unref();
const answer = (value) => process.send(value, () => process.exit());
const has = (name) => { try { require("node:module").createRequire(file).resolve(name); return true; } catch { return false; } };
const virtualModules = has("drizzle-kit") ? {} : { "drizzle-kit": { defineConfig: (config) => config } };
const { createJiti } = require(loader);
const fail = (thrown) => answer({ thrown: { message: String(thrown?.message ?? thrown), code: String(thrown?.code ?? "") } });
process.once("uncaughtException", fail);
createJiti(file, { fsCache: cache === "true", tsconfigPaths: true, virtualModules })
  .import(file, { default: true })
  .then((value) => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    const fields = isObject ? Object.fromEntries(${JSON.stringify(FIELDS)}.filter((key) => key in value).map((key) => [key, value[key]])) : value;
    const plain = (_, each) => each === undefined ? null : typeof each === "function" ? "a function" : each;
    answer({ exported: typeof value === "function" ? "function" : JSON.stringify(fields, plain) });
  })
  .catch(fail);
`;

/**
 * Evaluates a drizzle.config file as drizzle-kit does: TypeScript or JavaScript, ESM or CommonJS, with the paths of
 * tsconfig.json. It runs in a process of its own: whatever it prints goes to standard error, and a pool that it opens,
 * a variable that it sets, or its `process.exit()` ends with it.
 * @returns the value that it exports
 * @throws MigratorError `PROJECT_CONFIG_INVALID`
 */
export async function evaluateConfig(path: string, evaluation: Evaluation): Promise<unknown> {
  const { file } = evaluation;
  if (extname(path) === ".json") return parseJson(path, file);
  const answer = await answerOf(start(path, evaluation), evaluation);
  if (typeof answer === "string") throw invalidConfig(file, answer);
  const { thrown, exported } = answer;
  if (thrown !== undefined) throw invalidConfig(file, reasonOf(thrown));
  if (exported === "function") return () => undefined;
  return exported === undefined ? undefined : JSON.parse(exported);
}

function parseJson(path: string, file: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    throw invalidConfig(file, `is not JSON: ${toError(thrown).message}.`, { cause: thrown });
  }
}

interface Thrown {
  readonly message: string;
  readonly code: string;
}

interface Answer {
  readonly exported?: string;
  readonly thrown?: Thrown;
}

function start(path: string, { cwd, environment }: Evaluation): ChildProcess {
  const loader = createRequire(import.meta.url).resolve("jiti");
  // Elsewhere the loader would share its cache with everybody on this machine.
  const cache = existsSync(join(dirname(path), "node_modules"));
  const words = ["--eval", PROGRAM, loader, path, String(cache)];
  return spawn(process.execPath, words, {
    cwd,
    env: { ...environment },
    // Descriptor 2 twice: standard output belongs to the report.
    stdio: ["ignore", 2, 2, "ipc"],
  });
}

/** Waits for the answer. @returns the answer, or the rest of the sentence that says why there is none */
function answerOf(child: ChildProcess, evaluation: Evaluation): Promise<Answer | string> {
  const { limitMs = LIMIT_MS, onWait = () => undefined } = evaluation;
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1_000);
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const alive = setInterval(() => onWait(seconds()), SIGN_OF_LIFE_MS);
  return new Promise<Answer | string>((resolve) => {
    const limit = setTimeout(() => {
      kill();
      resolve(`did not come to its end in ${counted(limitMs / 1_000, "second")}.`);
    }, limitMs);
    child.once("message", (answer: Answer) => resolve(answer));
    child.once("error", ({ message }) => resolve(`cannot be evaluated: ${message}.`));
    child.once("exit", (code, signal) =>
      resolve(`ended its process (${signal ?? `exit code ${code}`}) before it exported anything.`),
    );
    child.once("close", () => clearTimeout(limit));
  }).finally(() => {
    clearInterval(alive);
    process.removeListener("exit", kill);
  });
}

function reasonOf({ message, code }: Thrown): string {
  const [, module] = /Cannot find (?:module|package) '([^']+)'/.exec(message) ?? [];
  if (module !== undefined && code.endsWith("MODULE_NOT_FOUND")) {
    return `imports ${module}, and that cannot be found. Is it installed?`;
  }
  const [, problem, place] = /^ParseError: (.+?)\s*\n\s*(\S.*:\d+:\d+)/.exec(message) ?? [];
  if (place !== undefined) return `cannot be parsed: ${problem}, in ${place}.`;
  const [line = ""] = message.trim().split(/\n\s*at |\nRequire stack:/);
  return `throws: ${line.replace(/[.\s]*$/, "")}. Does it need a variable that is not set?`;
}

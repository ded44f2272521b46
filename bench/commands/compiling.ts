import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { median } from "../speed/statistics.ts";

/** The work of compiling one folder, each in a fresh process, medians. */
export interface CompileFigure {
  readonly folder: string;
  readonly migrations: number;
  readonly statements: number;
  /** The first compilation of a process, with the loading of compiler and parser. */
  readonly coldMs: number;
  readonly coldProcessorMs: number;
  /** The second one of the same process. */
  readonly warmMs: number;
  /** The same as the first, with the bundle that an earlier process has kept. */
  readonly keptMs: number;
  readonly keptProcessorMs: number;
  /** Peak memory of the process that compiles once. */
  readonly peakMb: number;
}

/** The output of one process. */
interface Told {
  readonly migrations: number;
  readonly statements: number;
  readonly ms: number;
  readonly processorMs: number;
  readonly againMs: number | null;
  readonly peakMb: number;
}

/** It is a text, because a loader for TypeScript would be measured, too. */
const PROGRAM = `
const [compiler, folder, cache, again] = process.argv.slice(1);
const flags = await import("node:v8");
flags.setFlagsFromString("--liftoff-only");
const started = performance.now();
const before = process.cpuUsage();
const { compileBundle } = await import(compiler);
const compile = () => compileBundle(folder, { cache: cache === "" ? null : cache });
const { migrations } = await compile();
const ms = performance.now() - started;
const { user, system } = process.cpuUsage(before);
const peakMb = process.resourceUsage().maxRSS / 1000;
const second = performance.now();
if (again === "true") await compile();
const againMs = again === "true" ? performance.now() - second : null;
const statements = migrations.reduce((sum, each) => sum + each.statements.length, 0);
console.log(JSON.stringify({ migrations: migrations.length, statements, ms, processorMs: (user + system) / 1000, againMs, peakMb }));
`;

/** The input of the measurement. */
export interface CompileOptions {
  readonly folders: readonly { readonly name: string; readonly path: string }[];
  /** The folder of the built package. */
  readonly dist: string;
  /** The folder in which bundles are kept. */
  readonly cache: string;
  readonly runs: number;
}

/** Compiles each folder in fresh processes: with nothing kept, and with the bundle of an earlier process. */
export function measureCompiling(options: CompileOptions): readonly CompileFigure[] {
  const { folders, cache, runs } = options;
  return folders.map(({ name, path }) => {
    compileOnce(options, path, { cache, again: false });
    const cold: Told[] = [];
    const warm: Told[] = [];
    const kept: Told[] = [];
    for (let run = 0; run < runs; run += 1) {
      cold.push(compileOnce(options, path, { cache: "", again: false }));
      warm.push(compileOnce(options, path, { cache: "", again: true }));
      kept.push(compileOnce(options, path, { cache, again: false }));
    }
    const { migrations = 0, statements = 0 } = cold[0] ?? {};
    const of = (all: readonly Told[], pick: (told: Told) => number | null) =>
      median(all.map((each) => pick(each) ?? Number.NaN));
    return {
      ...{ folder: name, migrations, statements },
      coldMs: of(cold, ({ ms }) => ms),
      coldProcessorMs: of(cold, ({ processorMs }) => processorMs),
      warmMs: of(warm, ({ againMs }) => againMs),
      keptMs: of(kept, ({ ms }) => ms),
      keptProcessorMs: of(kept, ({ processorMs }) => processorMs),
      peakMb: of(cold, ({ peakMb }) => peakMb),
    };
  });
}

function compileOnce(
  { dist }: CompileOptions,
  folder: string,
  { cache, again }: { readonly cache: string; readonly again: boolean },
): Told {
  const compiler = pathToFileURL(join(dist, "lib", "compile", "compile.js")).href;
  const words = ["--input-type=module", "--eval", PROGRAM, compiler, folder, cache, String(again)];
  // Written by the program above.
  return JSON.parse(execFileSync(process.execPath, words, { encoding: "utf8" })) as Told;
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeAsset } from "../../../lib/compile/asset.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { createRandom, seedOf } from "../faults/random.ts";
import {
  DISTURBANCES,
  type Disturbance,
  type Disturbed,
  rehearse,
  type Traffic,
} from "./disturb.ts";
import { openStage, type Stage } from "./stage.ts";
import { isBad, judge, type Verdict } from "./verdict.ts";

/** One try and how it ended. */
export interface TryResult {
  readonly name: string;
  readonly number: number;
  readonly disturbed: Disturbed;
  readonly verdict: Verdict;
}

/** What to try, and how often. */
export interface BenchOptions {
  /** Equal seeds make equal tries, as far as the clock allows. */
  readonly seed: number;
  /** The numbers of the tries. */
  readonly numbers: readonly number[];
  /** The folder with the built handler. */
  readonly handler: string;
  /** How many tries run beside each other, each with a project of its own. Default: 1. */
  readonly stages?: number;
  /** What is done to a rehearsal. Default: the disturbance that the number names. */
  readonly disturbance?: (number: number, usual: (number: number) => Disturbance) => Disturbance;
  progress(line: string): void;
}

const BUNDLE = makeBundle(
  makeMigration(
    "0000_totals",
    1_000,
    "alter table orders add column note text",
    "alter table orders alter column total type bigint",
    "select pg_sleep(0.1)",
  ),
  makeMigration("0001_index", 2_000, "create index concurrently orders_total on orders (total)"),
  makeMigration("0002_check", 3_000, "alter table orders add check (total > 0)"),
);

/** Disturbs so many rehearsals, each at a moment that the seed decides, and judges what is left of each. */
export async function runBench(options: BenchOptions): Promise<readonly TryResult[]> {
  const scratch = await mkdtemp(join(tmpdir(), "rehearsals-"));
  await writeAsset(BUNDLE, scratch, options.handler);
  const count = options.stages ?? 1;
  const stages = await Promise.all(Array.from({ length: count }, () => openStage(scratch)));
  try {
    return await tryAll(options, stages);
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
    await rm(scratch, { recursive: true });
  }
}

async function tryAll(
  { seed, numbers, disturbance = (number, usual) => usual(number), progress }: BenchOptions,
  stages: readonly Stage[],
): Promise<readonly TryResult[]> {
  const results: TryResult[] = [];
  const waiting = [...numbers];
  const work = async (stage: Stage): Promise<void> => {
    const usual = await observe(stage);
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      await stage.reset();
      const linesBefore = await stage.ownersLines();
      const { name, disturb } = disturbance(number, disturbanceOf);
      const disturbed = await disturb(stage, createRandom(seedOf(seed, name, number)), usual);
      const verdict = await judge(stage, disturbed, linesBefore);
      results.push({ name, number, disturbed, verdict });
      if (results.length % 20 === 0) progress(`${results.length} of ${numbers.length}`);
    }
  };
  await Promise.all(stages.map(work));
  return results;
}

/** Rehearses undisturbed, and counts what passes. */
async function observe(stage: Stage): Promise<Traffic> {
  // The first call of a process opens connections that later ones find open.
  await stage.warm();
  await stage.reset();
  const answer = await rehearse(await stage.warm());
  if (Object(answer).rehearsal?.status !== "passed") {
    throw new Error(`The rehearsal goes wrong without any fault: ${JSON.stringify(answer)}`);
  }
  const { api, branch } = stage.wires;
  return { api: { ...api.passed }, branch: { ...branch.passed } };
}

/** Spreads the disturbances over the numbers by their shares. */
function disturbanceOf(number: number): Disturbance {
  const [first] = DISTURBANCES;
  // Any beginning of the numbers has all of them: multiples of the golden ratio are spread evenly.
  let place = (number * 0.618_033_988_75) % 1;
  for (const each of DISTURBANCES) {
    if (place < each.share) return each;
    place -= each.share;
  }
  return first;
}

/** What all tries of a disturbance come to. */
export interface Row {
  readonly name: string;
  readonly tries: number;
  readonly met: number;
  /** Tries that were answered, and of these those behind which no branch was left. */
  readonly answered: number;
  readonly deleted: number;
  readonly onProduction: number;
  readonly withoutExpiry: number;
  readonly untrue: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Sums the tries up, by disturbance, and all of them together in the last row. */
export function summarise(results: readonly TryResult[]): readonly Row[] {
  const names = [...new Set(results.map(({ name }) => name))].sort();
  return [
    ...names.map((name) =>
      rowOf(
        name,
        results.filter((each) => each.name === name),
      ),
    ),
    rowOf("all", results),
  ];
}

function rowOf(name: string, results: readonly TryResult[]): Row {
  const answered = results.filter(({ verdict }) => verdict.outcome !== null);
  const count = (what: "onProduction" | "withoutExpiry" | "untrue") =>
    results.filter(({ verdict }) => verdict[what].length > 0).length;
  const outcomes: Record<string, number> = {};
  for (const { verdict } of results) {
    const outcome = verdict.outcome ?? "killed";
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return {
    ...{ name, tries: results.length, answered: answered.length, outcomes },
    met: results.filter(({ disturbed }) => disturbed.met).length,
    deleted: answered.filter(({ verdict }) => verdict.left.length === 0).length,
    onProduction: count("onProduction"),
    withoutExpiry: count("withoutExpiry"),
    untrue: count("untrue"),
  };
}

/** Says what went wrong in a try, and how it is repeated. */
export function renderFailure(
  { name, number, disturbed, verdict }: TryResult,
  seed: number,
): string {
  const sentences = [...verdict.onProduction, ...verdict.withoutExpiry, ...verdict.untrue];
  return `${name} ${number}: ${disturbed.what}: ${sentences.join("; ")} (--seed ${seed} --try ${number})`;
}

/** Returns the tries in which something happened that must never happen. */
export function failures(results: readonly TryResult[]): readonly TryResult[] {
  return results.filter(({ verdict }) => isBad(verdict));
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom, type Random, seedOf } from "./random.ts";
import { openStage, type Stage } from "./stage.ts";
import { ENOUGH, isBad, type TryResult } from "./table.ts";
import type { Attempt, Scenario, Trial, Undisturbeds } from "./trial.ts";
import { observe, type Undisturbed } from "./undisturbed.ts";
import { carryOut } from "./verdict.ts";
import { WORKLOADS, type Workload, writeWorkload } from "./workloads.ts";

/** What to try, and how often. */
export interface BenchOptions {
  readonly scenarios: readonly Scenario[];
  readonly seed: number;
  /** Default: `WORKLOADS`. */
  readonly workloads?: readonly Workload[];
  /** The folder with the built handler. */
  readonly handler: string;
  /** How many tries of a scenario; default: as many as it names itself. */
  tries?(scenario: Scenario): number | undefined;
  /** This try only, by its number, as often as `tries` says; default once. */
  readonly number?: number | undefined;
  /** How many tries run beside each other, each on a PostgreSQL of its own. Default 4: most of a try is waiting. */
  readonly stages?: number;
  progress(line: string): void;
  /** Told of every try that went wrong, at once. */
  failed(result: TryResult): void;
}

/** Makes all tries. Equal seeds make equal tries, as far as the clock allows. */
export async function runBench(options: BenchOptions): Promise<readonly TryResult[]> {
  const scratch = await mkdtemp(join(tmpdir(), "faults-"));
  const folderOf = ({ name }: Workload) => join(scratch, name);
  for (const workload of options.workloads ?? WORKLOADS) {
    await writeWorkload(workload, folderOf(workload), options.handler);
  }
  const stages = await Promise.all(
    Array.from({ length: options.stages ?? 4 }, () => openStage(folderOf)),
  );
  try {
    return await runScenarios(options, stages);
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
    await rm(scratch, { recursive: true });
  }
}

async function runScenarios(
  options: BenchOptions,
  stages: readonly Stage[],
): Promise<readonly TryResult[]> {
  const [first] = stages;
  if (first === undefined) return [];
  const undisturbed = new Map<Workload, Undisturbed>();
  for (const workload of options.workloads ?? WORKLOADS) {
    const seen = await observe(first, workload);
    undisturbed.set(workload, seen);
    options.progress(describeUndisturbed(workload, seen));
  }
  const results: TryResult[] = [];
  for (const scenario of options.scenarios) {
    const started = Date.now();
    const ofScenario = await runScenario(scenario, options, { stages, undisturbed });
    results.push(...ofScenario);
    const seconds = ((Date.now() - started) / 1_000).toFixed(1);
    options.progress(`${scenario.name}: ${ofScenario.length} tries in ${seconds} s`);
  }
  return results;
}

function describeUndisturbed({ name }: Workload, seen: Undisturbed): string {
  const { bytes, commits, durations } = seen;
  const times = [...durations].map(
    ([roundTripMs, { coldMs, warmMs }]) =>
      `${Math.round(coldMs)}/${Math.round(warmMs)} ms cold/warm at ${roundTripMs} ms`,
  );
  return `undisturbed ${name}: ${bytes.toServer} bytes to the server, ${bytes.toClient} back, ${commits.length / 2} commits, ${times.join(", ")}`;
}

interface Site {
  readonly stages: readonly Stage[];
  readonly undisturbed: Undisturbeds;
}

async function runScenario(
  scenario: Scenario,
  options: BenchOptions,
  { stages, undisturbed }: Site,
): Promise<readonly TryResult[]> {
  const { number: only } = options;
  const asked = options.tries?.(scenario);
  const tries = asked ?? (only === undefined ? scenario.tries(undisturbed) : 1);
  const results: TryResult[] = [];
  let begun = 0;
  const next = (): number | undefined => {
    if (begun >= tries && !wantsMore(scenario, results, { tries, begun })) return undefined;
    begun += 1;
    if (begun === tries + 1)
      options.progress(`${scenario.name}: too few tries meet a run, so more are made`);
    return only ?? begun - 1;
  };
  const work = async (stage: Stage): Promise<void> => {
    for (let number = next(); number !== undefined; number = next()) {
      const attempt = scenario.attempt(number, undisturbed);
      const random = createRandom(seedOf(options.seed, scenario.name, number));
      const trial = makeTrial(attempt, { stage, undisturbed, random });
      const verdict = await carryOut(attempt, trial);
      const result = { scenario: scenario.name, workload: trial.workload.name, number, verdict };
      results.push(result);
      if (isBad(verdict)) options.failed(result);
      if (results.length % 50 === 0)
        options.progress(`${scenario.name} ${results.length}/${tries}`);
    }
    // Many at once leave many processes behind.
    if (!scenario.parallel) await stage.cool();
  };
  await Promise.all(stages.slice(0, scenario.parallel ? stages.length : 1).map(work));
  return results;
}

/** How many times as many tries are made, at the most, until enough have met a run. */
const MOST_TRIES = 3;

/** Whether too few tries have met a run, even if all that are under way should do so. */
function wantsMore(
  { meets }: Scenario,
  results: readonly TryResult[],
  { tries, begun }: { readonly tries: number; readonly begun: number },
): boolean {
  const met = results.filter(({ verdict }) => verdict.recoveryMs !== null).length;
  const underWay = begun - results.length;
  return meets !== false && met + underWay < ENOUGH * tries && begun < MOST_TRIES * tries;
}

function makeTrial(
  { workload }: Attempt,
  site: { readonly stage: Stage; readonly undisturbed: Undisturbeds; readonly random: Random },
): Trial {
  const undisturbed = site.undisturbed.get(workload);
  if (undisturbed === undefined) throw new Error(`${workload.name} was never observed.`);
  return { ...site, workload, undisturbed };
}

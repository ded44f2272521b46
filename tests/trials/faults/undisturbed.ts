import { startRelay } from "../../../local/relay/relay.ts";
import { fire, type Shot } from "./shot.ts";
import type { Stage } from "./stage.ts";
import { readLeftovers, readState, type State } from "./state.ts";
import { type Direction, findCommits, type Stretch, startTap } from "./tap.ts";
import type { Workload } from "./workloads.ts";

/** What happens when nothing happens: the measure for everything else. */
export interface Undisturbed {
  readonly state: State;
  readonly tags: readonly string[];
  /** Bytes of the one connection of a run. */
  readonly bytes: Readonly<Record<Direction, number>>;
  readonly commits: readonly Stretch[];
  /** By the round trip that is added: how long a call takes from the start of its process, and in a warm one. */
  readonly durations: ReadonlyMap<number, Durations>;
}

/** How long a call takes, in ms. */
export interface Durations {
  readonly coldMs: number;
  readonly warmMs: number;
}

/** The round trips that tries are made with, in ms: they spread the steps of a run over its duration. */
export const ROUND_TRIPS_MS: readonly [number, ...number[]] = [0, 4, 10];

/** Under load everything takes longer than it was measured: moments are drawn from so much of a duration. */
export const STRETCH = 1.15;

/** Runs a workload with nobody in its way, and keeps what it leaves and what it takes. */
export async function observe(stage: Stage, workload: Workload): Promise<Undisturbed> {
  const { bytes, commits } = await record(stage, workload);
  const look = stage.look();
  const state = await readState(look);
  const leftovers = await readLeftovers(look);
  await look.close();
  if (leftovers.length > 0) throw new Error(`Undisturbed, and yet left: ${leftovers.join(", ")}`);
  const durations = await measure(stage, workload);
  return { state, tags: Object.keys(workload.migrations), bytes, commits, durations };
}

/** Lets a run pass by a tap. */
async function record(
  stage: Stage,
  workload: Workload,
): Promise<Pick<Undisturbed, "bytes" | "commits">> {
  const tap = await startTap({ host: stage.postgres.host, port: stage.postgres.port });
  const relay = await startRelay({ target: tap.address });
  const lambda = stage.cold(workload, { relay, port: tap.address.port });
  await stage.reset();
  assertApplied(await fire(lambda), workload);
  const recording = tap.recording();
  await lambda.stop();
  await relay.stop();
  await tap.stop();
  const bytes = { toServer: recording.toServer.length, toClient: recording.toClient.length };
  return { bytes, commits: findCommits(recording) };
}

/** In one process: what its start takes is the same with every round trip. */
async function measure(stage: Stage, workload: Workload): Promise<ReadonlyMap<number, Durations>> {
  const lambda = stage.cold(workload);
  const run = () => timed(stage, workload, () => fire(lambda));
  stage.relay.setRoundTripMs(0);
  const firstMs = await run();
  const startMs = Math.max(firstMs - (await run()), 0);
  const durations = new Map<number, Durations>();
  for (const roundTripMs of ROUND_TRIPS_MS) {
    stage.relay.setRoundTripMs(roundTripMs);
    const warmMs = await run();
    durations.set(roundTripMs, { coldMs: startMs + warmMs, warmMs });
  }
  stage.relay.setRoundTripMs(0);
  await lambda.stop();
  return durations;
}

async function timed(stage: Stage, workload: Workload, run: () => Promise<Shot>): Promise<number> {
  await stage.reset();
  const started = performance.now();
  const shot = await run();
  assertApplied(shot, workload);
  return shot.endedAt - started;
}

function assertApplied({ report, instead }: Shot, workload: Workload): void {
  if (report?.status === "applied" && report.executor === workload.executor) return;
  throw new Error(
    `Undisturbed, the workload ${workload.name} did not run through: ${instead}${JSON.stringify(report)}`,
  );
}

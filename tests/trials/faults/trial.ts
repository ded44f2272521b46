import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { Shot } from "./shot.ts";
import type { Stage } from "./stage.ts";
import type { Undisturbed } from "./undisturbed.ts";
import { lockHolders, sessionsOf } from "./watch.ts";
import type { Workload } from "./workloads.ts";

/** One try: a fresh database, a workload, and a source of chance of its own. */
export interface Trial {
  readonly stage: Stage;
  readonly workload: Workload;
  readonly undisturbed: Undisturbed;
  readonly random: Random;
}

/** What was done to a run, and how its caller fared. */
export interface Disturbance {
  /** For whoever looks at a failure. */
  readonly what: string;
  /** When it came, by `performance.now()`; null when it met no run at work. */
  readonly faultAt: number | null;
  /** When the database was up to date again; default: with the first good answer. */
  readonly recoveredAt?: number;
  /** The calls that were not killed. */
  readonly shots: readonly Shot[];
  /** Whether a run was ended that can no longer say what it has applied. */
  readonly killed: boolean;
  /** Whether a run that lost its session may find the rows of another one, and take them for its own. Default: false. */
  readonly sharesClaims?: boolean;
  /** What kept the next run from its work, in sentences. Default: nothing. */
  readonly held?: readonly string[];
  /** How long the sessions of that moment kept the lock; null when that cannot be told. */
  readonly lockFreeMs: Promise<number | null>;
}

/** A way to disturb runs. */
export interface Scenario {
  readonly name: string;
  /** Whether tries may be made beside each other. */
  readonly parallel: boolean;
  /** Whether its tries are to meet a run at work: where few have, more are made. Default: true. */
  readonly meets?: boolean;
  /** How many tries a whole bench makes. */
  tries(undisturbed: Undisturbeds): number;
  /** What the try of a number, from 0, is about. */
  attempt(number: number, undisturbed: Undisturbeds): Attempt;
}

/** What one try does, and to what. */
export interface Attempt {
  readonly workload: Workload;
  disturb(trial: Trial): Promise<Disturbance>;
}

/** What is known of each workload. */
export type Undisturbeds = ReadonlyMap<Workload, Undisturbed>;

/** The workloads take turns. */
export function inTurn(disturb: Attempt["disturb"]): Scenario["attempt"] {
  return (number, undisturbed) => {
    const workloads = [...undisturbed.keys()];
    const workload = workloads[number % workloads.length];
    if (workload === undefined) throw new Error("There is no workload.");
    return { workload, disturb };
  };
}

const LOCK_PATIENCE_MS = 10_000;

/** Whether a call has left the database with nothing to do. */
export function succeeded({ report }: Shot): boolean {
  return report?.status === "applied" || report?.status === "up-to-date";
}

/** Whether a promise has settled by now. */
export function settledFlag(promise: Promise<unknown>): () => boolean {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  return () => settled;
}

/** Waits until so many ms have passed since a run came to the database; returns early when it has ended. */
export async function intoTheWork(
  { stage }: Trial,
  delayMs: number,
  ended: () => boolean,
): Promise<void> {
  while (stage.relay.stats().connections === 0 && !ended()) await pause(1);
  const until = performance.now() + delayMs;
  while (performance.now() < until && !ended()) await pause(1);
}

/** Looks who is at work now, and waits until none of them holds the lock any more. */
export async function untilLockIsFree({ watch, database }: Stage): Promise<number | null> {
  const started = performance.now();
  const pids = await sessionsOf(watch, database);
  while ((await lockHolders(watch, pids)).length > 0) {
    if (performance.now() - started > LOCK_PATIENCE_MS) return LOCK_PATIENCE_MS;
    await pause(5);
  }
  return performance.now() - started;
}

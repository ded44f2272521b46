import { setTimeout as pause } from "node:timers/promises";
import type { Report } from "../../../lib/report/report.ts";
import { resolveDoubt } from "./doubt.ts";
import { fire, type Shot } from "./shot.ts";
import type { Stage } from "./stage.ts";
import { compareStates, readLeftovers, readState } from "./state.ts";
import { type Attempt, type Disturbance, succeeded, type Trial } from "./trial.ts";
import { remains } from "./watch.ts";

/** What must not be found after a try. Each is a list of sentences. */
export interface Findings {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly unanswered: readonly string[];
  readonly leftBehind: readonly string[];
}

/** A failure that a run reported. */
export type Failure = NonNullable<Report["error"]>;

/** How one try ended. */
export interface Verdict {
  readonly what: string;
  readonly findings: Findings;
  /** From the fault to a database that is up to date; null when the fault met no run. */
  readonly recoveryMs: number | null;
  readonly lockFreeMs: number | null;
  /** How long after the last answer a session or a lock was still there. */
  readonly settleMs: number;
  /** Errors of the runs that answered with a failure. */
  readonly failures: readonly Failure[];
}

const FOLLOW_UPS = 5;
/** A server needs a moment to notice that a client is gone, and a busy machine more of them. */
const SETTLE_MS = 60_000;

/** Disturbs a run, lets the next ones finish the work, and compares what is there with what should be. */
export async function carryOut(attempt: Attempt, trial: Trial): Promise<Verdict> {
  const { stage, undisturbed } = trial;
  await stage.reset();
  await stage.warm(trial.workload);
  const disturbance = await attempt.disturb(trial);
  const followUps = await runToTheEnd(trial);
  const lockFreeMs = await disturbance.lockFreeMs;
  const settled = await settle(stage);
  const look = stage.look();
  const difference = compareStates(undisturbed.state, await readState(look));
  const leftovers = await readLeftovers(look);
  await look.close();
  stage.relay.setRoundTripMs(0);
  const shots = [...disturbance.shots, ...followUps];
  const claims = judgeClaims(undisturbed.tags, shots, disturbance);
  const stuck = followUps.at(-1)?.report?.status === "up-to-date" ? [] : [describe(followUps)];
  return {
    what: disturbance.what,
    findings: {
      lost: [...difference.lost, ...claims.lost, ...stuck],
      doubled: [...difference.doubled, ...claims.doubled],
      unanswered: shots.flatMap(unansweredBy),
      leftBehind: [...(disturbance.held ?? []), ...settled.left, ...leftovers],
    },
    recoveryMs: recoveryOf(disturbance, shots),
    lockFreeMs: disturbance.faultAt === null ? null : lockFreeMs,
    settleMs: settled.settleMs,
    failures: shots.flatMap(({ report }) => report?.error ?? []),
  };
}

/** As the next deployments do. */
async function runToTheEnd({ stage, workload }: Trial): Promise<readonly Shot[]> {
  const shots: Shot[] = [];
  while (shots.length < FOLLOW_UPS && shots.at(-1)?.report?.status !== "up-to-date") {
    const shot = await fire(await stage.warm(workload));
    shots.push(shot);
    await resolveDoubt(stage, workload, shot);
  }
  return shots;
}

/** An error that nobody foresaw is no answer either. */
function unansweredBy({ report, instead }: Shot): readonly string[] {
  if (report === null) return [instead];
  return report.error?.code === "INTERNAL" ? [report.error.message] : [];
}

function describe(followUps: readonly Shot[]): string {
  const { report, instead } = followUps.at(-1) ?? { report: null, instead: "no run" };
  return `not up to date after ${followUps.length} further runs: ${report?.error?.message ?? report?.status ?? instead}`;
}

async function settle({
  watch,
  database,
}: Stage): Promise<{ readonly left: readonly string[]; readonly settleMs: number }> {
  const started = performance.now();
  for (;;) {
    const left = await remains(watch, database);
    const settleMs = performance.now() - started;
    if (left.length === 0 || settleMs > SETTLE_MS) return { left, settleMs };
    await pause(20);
  }
}

/** What is applied is said to be applied once, by one run; by none only if that one could not speak. */
function judgeClaims(
  tags: readonly string[],
  shots: readonly Shot[],
  { killed, sharesClaims = false }: Disturbance,
): Pick<Findings, "lost" | "doubled"> {
  const claimed = shots.flatMap(({ report }) => report?.applied.map(({ tag }) => tag) ?? []);
  const times = (tag: string) => claimed.filter((each) => each === tag).length;
  return {
    lost: killed
      ? []
      : tags
          .filter((tag) => times(tag) === 0)
          .map((tag) => `no report says that ${tag} is applied`),
    doubled: tags
      .filter((tag) => times(tag) > 1 && !sharesClaims)
      .map((tag) => `${times(tag)} times a report says that ${tag} is applied`),
  };
}

function recoveryOf({ faultAt, recoveredAt }: Disturbance, shots: readonly Shot[]): number | null {
  const upToDateAt = recoveredAt ?? shots.find(succeeded)?.endedAt;
  if (faultAt === null || upToDateAt === undefined) return null;
  return Math.max(upToDateAt - faultAt, 0);
}

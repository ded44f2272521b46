import { setTimeout as pause } from "node:timers/promises";
import type { LocalLambda } from "../../../local/lambda/lambda.ts";
import { fire, type Shot } from "./shot.ts";
import {
  type Disturbance,
  inTurn,
  intoTheWork,
  type Scenario,
  settledFlag,
  succeeded,
  type Trial,
} from "./trial.ts";
import { ROUND_TRIPS_MS, STRETCH } from "./undisturbed.ts";

/** SIGSTOP to the function's process at any moment; it goes on once another run has done the work, or has given up. */
export const freeze: Scenario = {
  name: "freeze",
  parallel: true,
  // A dead run's session is ended after half a minute, so a try takes as long.
  tries: () => 24,
  attempt: inTurn(freezeRun),
};

/** The same in the middle of what a run sends: its last bytes never come, and its connection stays open. */
export const stall: Scenario = {
  name: "stall",
  parallel: true,
  tries: () => 24,
  attempt: inTurn(stallRun),
};

async function freezeRun(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const { warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const delayMs = random.next() * STRETCH * warmMs;
  stage.relay.setRoundTripMs(roundTripMs);
  stage.relay.resetStats();
  const lambda = stage.cold(workload);
  const running = fire(lambda);
  const ended = settledFlag(running);
  await intoTheWork(trial, delayMs, ended);
  const what = `SIGSTOP ${Math.round(delayMs)} ms into the work, round trip ${roundTripMs} ms`;
  return await whileFrozen(trial, { lambda, running, met: !ended(), what });
}

/** Time for a run whose bytes do not come: it must not wait for their answer as long as the function may take. */
const TIMEOUT_MS = 120_000;

async function stallRun(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const bytes = random.integer(1, undisturbed.bytes.toServer);
  stage.relay.setRoundTripMs(random.pick(ROUND_TRIPS_MS));
  stage.relay.resetStats();
  stage.relay.cutAfterBytes({ direction: "toServer", bytes, staysOpen: true });
  const lambda = stage.cold(workload);
  const running = fire(lambda, { timeoutMs: TIMEOUT_MS });
  const ended = settledFlag(running);
  const passed = () => (stage.relay.stats().perConnection[0]?.bytesToServer ?? 0) >= bytes;
  while (!passed() && !ended()) await pause(1);
  const what = `SIGSTOP with ${bytes} bytes sent`;
  return await whileFrozen(trial, { lambda, running, met: !ended(), what });
}

interface Frozen {
  readonly lambda: LocalLambda;
  readonly running: Promise<Shot>;
  readonly met: boolean;
  readonly what: string;
}

/** Freezes a run, has another one do the work, and lets the first go on. */
async function whileFrozen(
  { stage, workload }: Trial,
  { lambda, running, met, what }: Frozen,
): Promise<Disturbance> {
  lambda.freeze();
  const faultAt = performance.now();
  const other = await fire(await stage.warm(workload));
  lambda.freeze(false);
  const shot = await running;
  await lambda.stop();
  const held = succeeded(other) ? [] : [`the next run: ${other.report?.error?.message}`];
  return {
    what,
    faultAt: met ? faultAt : null,
    shots: [shot, other],
    killed: false,
    sharesClaims: true,
    lockFreeMs: Promise.resolve(null),
    // A doubt about a statement is no want of a lock.
    held: other.report?.error?.code === "STEP_IN_DOUBT" ? [] : held,
  };
}

import { setTimeout as pause } from "node:timers/promises";
import { fire } from "./shot.ts";
import {
  type Disturbance,
  inTurn,
  intoTheWork,
  type Scenario,
  settledFlag,
  type Trial,
  untilLockIsFree,
} from "./trial.ts";
import { ROUND_TRIPS_MS, STRETCH } from "./undisturbed.ts";

/** The share of tries that may hit the start of the process; the others hit what follows the first packet. */
const FROM_THE_START = 0.2;

/** SIGKILL to the function's process, at any moment. */
export const kill: Scenario = {
  name: "kill",
  parallel: true,
  tries: () => 300,
  attempt: inTurn(killRun),
};

async function killRun(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const fromTheStart = random.next() < FROM_THE_START;
  const share = random.next() * STRETCH;
  const { coldMs = 0, warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const delayMs = share * (fromTheStart ? coldMs : warmMs);
  const since = fromTheStart ? "the start of the process" : "the first packet";
  stage.relay.setRoundTripMs(roundTripMs);
  stage.relay.resetStats();
  const lambda = stage.cold(workload);
  const running = fire(lambda);
  const ended = settledFlag(running);
  if (fromTheStart) await pause(delayMs);
  else await intoTheWork(trial, delayMs, ended);
  const met = !ended();
  const faultAt = performance.now();
  const stopping = lambda.stop();
  const lockFreeMs = untilLockIsFree(stage);
  await stopping;
  const shot = await running;
  return {
    what: `SIGKILL ${Math.round(delayMs)} ms after ${since}, round trip ${roundTripMs} ms`,
    faultAt: met ? faultAt : null,
    shots: met ? [] : [shot],
    killed: met,
    lockFreeMs,
  };
}

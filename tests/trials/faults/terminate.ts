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
import { terminateRuns } from "./watch.ts";

/** Somebody ends the session on the server, at any moment; sometimes a second time. */
export const terminate: Scenario = {
  name: "terminate",
  parallel: true,
  tries: () => 100,
  attempt: inTurn(terminateRun),
};

const SECOND_TIME = 0.3;

async function terminateRun(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const { warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const delays = [random.next() * STRETCH * warmMs, random.next() * STRETCH * warmMs];
  const times = random.next() < SECOND_TIME ? 2 : 1;
  stage.relay.setRoundTripMs(roundTripMs);
  stage.relay.resetStats();
  const running = fire(await stage.warm(workload));
  const ended = settledFlag(running);
  let faultAt: number | null = null;
  let lockFreeMs: Promise<number | null> = Promise.resolve(null);
  for (const delayMs of delays.slice(0, times)) {
    await intoTheWork(trial, delayMs, ended);
    if (await terminateNext(trial, ended)) {
      faultAt = performance.now();
      lockFreeMs = untilLockIsFree(stage);
    }
  }
  const shot = await running;
  const after = delays.slice(0, times).map((delayMs) => `${Math.round(delayMs)} ms`);
  return {
    what: `session ended on the server ${after.join(" and ")} into the work, round trip ${roundTripMs} ms`,
    faultAt,
    shots: [shot],
    killed: false,
    lockFreeMs,
  };
}

/** Ends the session that there is, or the next one that comes. */
async function terminateNext({ stage }: Trial, ended: () => boolean): Promise<boolean> {
  while (!ended()) {
    if ((await terminateRuns(stage.watch, stage.database)) > 0) return true;
    await pause(1);
  }
  return false;
}

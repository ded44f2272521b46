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

/** Neither side hears the other from any moment on, and nothing is closed. The relay itself still answers pings. */
export const silence: Scenario = {
  name: "silence",
  parallel: true,
  tries: () => 100,
  attempt: inTurn(silenceRun),
};

/** Time for the run. Without it a run would wait as long as the function may take. */
const TIMEOUT_MS = 5_000;

async function silenceRun(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const { relay } = stage;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const { warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const delayMs = random.next() * STRETCH * warmMs;
  relay.setRoundTripMs(roundTripMs);
  relay.resetStats();
  const running = fire(await stage.warm(workload), { timeoutMs: TIMEOUT_MS });
  const ended = settledFlag(running);
  await intoTheWork(trial, delayMs, ended);
  const met = !ended();
  relay.silence();
  const faultAt = performance.now();
  const shot = await running;
  relay.silence(false);
  return {
    what: `network silent ${Math.round(delayMs)} ms into the work, round trip ${roundTripMs} ms`,
    faultAt: met ? faultAt : null,
    shots: [shot],
    // An answer to its COMMIT may be among what was swallowed.
    killed: met,
    lockFreeMs: untilLockIsFree(stage),
  };
}

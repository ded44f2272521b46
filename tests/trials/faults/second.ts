import { fire } from "./shot.ts";
import { type Disturbance, intoTheWork, type Scenario, settledFlag, type Trial } from "./trial.ts";
import { STRETCH } from "./undisturbed.ts";

/** Moments of the first run at which a second one starts. */
const MOMENTS = 50;
/** The round trip that spreads the steps of the first run over its duration. */
const ROUND_TRIP_MS = 10;

/** A second runner starts at each moment of the first. */
export const second: Scenario = {
  name: "second",
  parallel: true,
  tries: (undisturbed) => MOMENTS * undisturbed.size,
  attempt: (number, undisturbed) => {
    const workloads = [...undisturbed.keys()];
    const workload = workloads[number % workloads.length];
    if (workload === undefined) throw new Error("There is no workload.");
    const moment = Math.floor(number / workloads.length) % MOMENTS;
    return { workload, disturb: (trial) => startSecond(trial, moment / MOMENTS) };
  },
};

async function startSecond(trial: Trial, share: number): Promise<Disturbance> {
  const { stage, workload, undisturbed } = trial;
  const { warmMs = 0 } = undisturbed.durations.get(ROUND_TRIP_MS) ?? {};
  const delayMs = share * STRETCH * warmMs;
  const lambda = await stage.warm(workload);
  stage.relay.setRoundTripMs(ROUND_TRIP_MS);
  stage.relay.resetStats();
  const first = fire(lambda);
  const ended = settledFlag(first);
  await intoTheWork(trial, delayMs, ended);
  const met = !ended();
  const faultAt = performance.now();
  const shots = await Promise.all([first, fire(lambda)]);
  return {
    what: `a second run ${Math.round(delayMs)} ms into the work of the first`,
    faultAt: met ? faultAt : null,
    recoveredAt: Math.max(...shots.map(({ endedAt }) => endedAt)),
    shots,
    killed: false,
    lockFreeMs: Promise.resolve(null),
  };
}

import { setTimeout as pause } from "node:timers/promises";
import { fire } from "./shot.ts";
import { type Disturbance, inTurn, type Scenario, type Trial } from "./trial.ts";
import { ROUND_TRIPS_MS } from "./undisturbed.ts";

/** Many runners at once, each in a process of its own. */
export const race: Scenario = {
  name: "race",
  parallel: false,
  tries: () => 50,
  attempt: inTurn(raceRunners),
};

const RUNNERS = 20;
/** They arrive within so many ms. */
const SPREAD_MS = 80;

async function raceRunners({ stage, workload, random }: Trial): Promise<Disturbance> {
  stage.relay.setRoundTripMs(random.pick(ROUND_TRIPS_MS));
  const lambda = await stage.warm(workload);
  const delays = Array.from({ length: RUNNERS }, () => random.next() * SPREAD_MS);
  const faultAt = performance.now();
  const shots = await Promise.all(
    delays.map(async (delayMs) => {
      await pause(delayMs);
      return await fire(lambda);
    }),
  );
  return {
    what: `${RUNNERS} runners within ${SPREAD_MS} ms`,
    faultAt,
    recoveredAt: Math.max(...shots.map(({ endedAt }) => endedAt)),
    shots,
    killed: false,
    lockFreeMs: Promise.resolve(null),
  };
}

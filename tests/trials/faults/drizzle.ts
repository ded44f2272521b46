import { join } from "node:path";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { Client } from "pg";
import { fire } from "./shot.ts";
import type { Stage } from "./stage.ts";
import {
  type Disturbance,
  intoTheWork,
  type Scenario,
  settledFlag,
  type Trial,
  type Undisturbeds,
} from "./trial.ts";
import { ROUND_TRIPS_MS, STRETCH } from "./undisturbed.ts";
import type { Workload } from "./workloads.ts";

/** Drizzle's own migrator, which takes no lock, works on the same folder at the same time: now it begins, now we do. */
export const besideDrizzle: Scenario = {
  name: "drizzle",
  parallel: true,
  tries: () => 100,
  attempt: (_number, undisturbed) => ({ workload: drizzlesIn(undisturbed), disturb: meet }),
};

/** The workload that Drizzle can apply. */
function drizzlesIn(undisturbed: Undisturbeds): Workload {
  const found = [...undisturbed.keys()].find(({ executor }) => executor === "drizzle");
  if (found === undefined) throw new Error("Drizzle can apply none of these workloads.");
  return found;
}

/** Drizzle has no added round trip: it begins so many ms before us at the most. */
const AHEAD_MS = 150;
/** The share of tries in which Drizzle begins. */
const DRIZZLE_FIRST = 0.5;

async function meet(trial: Trial): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const { warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const first = random.next() < DRIZZLE_FIRST;
  const delayMs = random.next() * (first ? AHEAD_MS : STRETCH * warmMs);
  const lambda = await stage.warm(workload);
  stage.relay.setRoundTripMs(roundTripMs);
  stage.relay.resetStats();
  const drizzles = () => runDrizzle(stage, workload);
  const early = first ? drizzles() : null;
  if (early !== null) await new Promise((resolve) => setTimeout(resolve, delayMs));
  const running = fire(lambda);
  const ended = settledFlag(running);
  if (early === null) await intoTheWork(trial, delayMs, ended);
  const met = early === null ? !ended() : !settledFlag(early)();
  const faultAt = performance.now();
  const outcome = await (early ?? drizzles());
  const shot = await running;
  return {
    what: `Drizzle's migrator ${first ? "begins" : "joins"} ${Math.round(delayMs)} ms ${first ? "before" : "into the work"}, and ${outcome}; round trip ${roundTripMs} ms`,
    faultAt: met ? faultAt : null,
    shots: [shot],
    // Drizzle makes no report of what it applies.
    killed: true,
    lockFreeMs: Promise.resolve(null),
  };
}

/** Runs Drizzle's own migrator. It may fail where we were first: that is its way to lose. */
async function runDrizzle(stage: Stage, workload: Workload): Promise<string> {
  const client = new Client({ connectionString: stage.url });
  await client.connect();
  try {
    await migrate(drizzle(client), { migrationsFolder: join(stage.folderOf(workload), "drizzle") });
    return "ends well";
  } catch (thrown) {
    const { cause = thrown } = Object(thrown);
    return `fails (${Object(cause).message})`;
  } finally {
    await client.end();
  }
}

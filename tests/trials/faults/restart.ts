import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fire } from "./shot.ts";
import type { Stage } from "./stage.ts";
import {
  type Disturbance,
  inTurn,
  intoTheWork,
  type Scenario,
  settledFlag,
  type Trial,
} from "./trial.ts";
import { ROUND_TRIPS_MS, STRETCH } from "./undisturbed.ts";

/** The server is shut down in order, and started again. */
export const fastRestart: Scenario = {
  name: "restart-fast",
  parallel: true,
  tries: () => 30,
  attempt: inTurn((trial) => restartDuring(trial, "fast")),
};

/** The server stops dead, and recovers from its log. */
export const immediateRestart: Scenario = {
  name: "restart-immediate",
  parallel: true,
  tries: () => 30,
  attempt: inTurn((trial) => restartDuring(trial, "immediate")),
};

async function restartDuring(trial: Trial, mode: "fast" | "immediate"): Promise<Disturbance> {
  const { stage, workload, undisturbed, random } = trial;
  const roundTripMs = random.pick(ROUND_TRIPS_MS);
  const { warmMs = 0 } = undisturbed.durations.get(roundTripMs) ?? {};
  const delayMs = random.next() * STRETCH * warmMs;
  stage.relay.setRoundTripMs(roundTripMs);
  stage.relay.resetStats();
  const running = fire(await stage.warm(workload));
  const ended = settledFlag(running);
  await intoTheWork(trial, delayMs, ended);
  const met = !ended();
  const faultAt = performance.now();
  if (mode === "immediate") await quit(stage);
  await stage.postgres.restart();
  await untilReachable(stage);
  return {
    what: `${mode} restart of the server ${Math.round(delayMs)} ms into the work, round trip ${roundTripMs} ms`,
    faultAt: met ? faultAt : null,
    shots: [await running],
    killed: false,
    lockFreeMs: Promise.resolve(null),
  };
}

/** SIGQUIT is PostgreSQL's immediate shutdown: no checkpoint, no goodbye. */
async function quit({ postgres }: Stage): Promise<void> {
  const file = join(postgres.directory, "data", "postmaster.pid");
  const [pid] = (await readFile(file, "utf8")).split("\n");
  process.kill(Number(pid), "SIGQUIT");
}

/** Our own session beside the runs was ended too. */
async function untilReachable({ watch }: Stage): Promise<void> {
  for (;;) {
    try {
      await watch.sql("select 1");
      return;
    } catch {
      // The old session, or a server that is not ready yet.
      await pause(10);
    }
  }
}

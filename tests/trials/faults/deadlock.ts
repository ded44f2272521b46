import { setTimeout as pause } from "node:timers/promises";
import { fire } from "./shot.ts";
import type { Stage } from "./stage.ts";
import { type Disturbance, inTurn, type Scenario, settledFlag, type Trial } from "./trial.ts";
import { createWatch, isBlocked } from "./watch.ts";

/** Whoever a run waits for asks for a lock that waits for the run: one of them must lose. */
export const deadlock: Scenario = {
  name: "deadlock",
  parallel: true,
  tries: () => 30,
  attempt: inTurn(crossRun),
};

/** Index builds wait for whoever has written to the table. */
const WRITE = "begin; update events set kind = kind where id = 1";
const CROSS = "lock table events in share row exclusive mode";
/** Of two in a deadlock, the one that has waited longer finds it, and loses. */
const MAX_DELAY_MS = 60;
const MEETINGS = 8;
/** The share of meetings in which the writer just gives way. */
const GIVES_WAY = 0.5;

async function crossRun({ stage, workload, random }: Trial): Promise<Disturbance> {
  const session = createWatch(stage.url);
  await session.sql(WRITE);
  const running = fire(await stage.warm(workload));
  const ended = settledFlag(running);
  const meetings: string[] = [];
  while (meetings.length < MEETINGS && (await blocked(stage, ended))) {
    const delayMs = random.integer(0, MAX_DELAY_MS);
    const givesWay = random.next() < GIVES_WAY;
    meetings.push(givesWay ? "gives way" : `crosses after ${delayMs} ms`);
    await pause(delayMs);
    // The writer may be the one that loses.
    if (!givesWay) await session.sql(CROSS).catch(() => undefined);
    await session.sql("rollback");
    if (meetings.length < MEETINGS) await session.sql(WRITE);
  }
  await session.sql("rollback");
  const faultAt = meetings.length === 0 ? null : performance.now();
  const shot = await running;
  await session.close();
  return {
    what: `a run waits for a writer, who ${meetings.join(", ")}`,
    faultAt,
    shots: [shot],
    killed: false,
    lockFreeMs: Promise.resolve(null),
  };
}

async function blocked({ watch, database }: Stage, ended: () => boolean): Promise<boolean> {
  while (!ended()) {
    if (await isBlocked(watch, database)) return true;
    await pause(1);
  }
  return false;
}

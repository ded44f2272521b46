import { setTimeout as pause } from "node:timers/promises";
import type { LocalLambda } from "../../../local/lambda/lambda.ts";
import type { CallName } from "../../../local/neon/faults.ts";
import type { Random } from "../faults/random.ts";
import type { Direction } from "../faults/tap.ts";
import type { Stage } from "./stage.ts";

/** One rehearsal, and what was done to it. */
export interface Disturbed {
  readonly what: string;
  /** What the function answered; null where its process was killed. */
  readonly answer: unknown;
  /** Whether the fault met the rehearsal at its work. */
  readonly met: boolean;
}

/** Bytes that pass while nobody disturbs a rehearsal. */
export type Traffic = Readonly<Record<"api" | "branch", Readonly<Record<Direction, number>>>>;

/** One way to disturb a rehearsal. */
export interface Disturbance {
  readonly name: string;
  /** The share of all tries. */
  readonly share: number;
  disturb(stage: Stage, random: Random, usual: Traffic): Promise<Disturbed>;
}

/** The calls of a rehearsal, in their order. */
const CALLS: readonly [CallName, ...CallName[]] = [
  "listProjectEndpoints",
  "createProjectBranch",
  "listProjectOperations",
  "getConnectionURI",
  "deleteProjectBranch",
];
/** The marks that a rehearsal passes: its calls to the API, and its sessions on the branch. */
const MARKS = 11;
/** A rehearsal takes about so long from one mark to the next. */
const BETWEEN_MARKS_MS = 250;
/** A rehearsal tries each call so often at the least. */
const MOST_TIMES = 2;

export const DISTURBANCES: readonly [Disturbance, ...Disturbance[]] = [
  { name: "kill", share: 0.4, disturb: kill },
  { name: "api-cut", share: 0.2, disturb: cutting("api") },
  { name: "branch-cut", share: 0.2, disturb: cutting("branch") },
  { name: "lost", share: 0.2, disturb: lose },
];

/** Rehearses, and returns what came of it. */
export async function rehearse(lambda: LocalLambda): Promise<unknown> {
  const { payload } = await lambda.invoke({ action: "rehearse", onFailure: "return" });
  return payload;
}

/** SIGKILL to the function's process, at any moment behind a mark. A mark is passed on a slow machine, too. */
async function kill(stage: Stage, random: Random): Promise<Disturbed> {
  const mark = random.integer(0, MARKS - 1);
  const delayMs = random.integer(0, BETWEEN_MARKS_MS);
  const { neon, sessions } = stage;
  const before = neon.calls.length;
  const lambda = stage.cold();
  let ended = false;
  const running = rehearse(lambda).finally(() => {
    ended = true;
  });
  const passed = () => neon.calls.length - before + sessions.branch > mark;
  while (!passed() && !ended) await pause(1);
  await pause(delayMs);
  const met = !ended;
  await lambda.stop();
  const answer = await running;
  return {
    what: `SIGKILL ${delayMs} ms behind mark ${mark + 1}`,
    answer: met ? null : answer,
    met,
  };
}

function cutting(way: "api" | "branch"): Disturbance["disturb"] {
  return async (stage, random, usual) => {
    const direction = random.pick<Direction>(["toServer", "toClient"]);
    const bytes = random.integer(1, usual[way][direction]);
    stage.wires[way].cutAfter(direction, bytes);
    const answer = await rehearse(await stage.warm());
    const met = stage.wires[way].cuts > 0;
    return { what: `the way to the ${way} cut behind ${bytes} bytes ${direction}`, answer, met };
  };
}

/** A call of which nobody hears again, carried out or not. */
async function lose(stage: Stage, random: Random): Promise<Disturbed> {
  const call = random.pick(CALLS);
  const fault = random.pick<"answer lost" | "call lost">(["answer lost", "call lost"]);
  const times = random.integer(1, MOST_TIMES);
  const before = stage.neon.calls.length;
  stage.neon.fail(call, fault, times);
  const answer = await rehearse(await stage.warm());
  const met = stage.neon.calls.slice(before).some(({ status }) => status === null);
  return { what: `${fault}: ${call}, ${times} times`, answer, met };
}

import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "./random.ts";
import { fire } from "./shot.ts";
import { type Disturbance, inTurn, type Scenario, type Trial } from "./trial.ts";
import { createWatch } from "./watch.ts";

/** The application goes on meanwhile: it reads, writes, and holds locks on the tables. */
export const traffic: Scenario = {
  name: "traffic",
  parallel: true,
  tries: () => 50,
  attempt: inTurn(runInTraffic),
};

/** What a session of the application does in one transaction. None of it changes a value. */
const MOVES = {
  read: ["begin", "select count(*) from accounts join events using (id)"],
  write: ["begin", "update accounts set balance = balance where id <= 5"],
  touch: ["begin", "update events set kind = kind where id <= 5"],
  snapshot: ["begin isolation level repeatable read", "select count(*) from events"],
  exclude: ["begin", "lock table accounts in access exclusive mode"],
  block: ["begin", "lock table events in share mode"],
} as const;

/** After a pause, in the same transaction: whoever waits for the first lock and is waited for deadlocks. */
const UPGRADES: readonly [string | null, ...(string | null)[]] = [null, null, "events", "accounts"];

interface Move {
  readonly name: keyof typeof MOVES;
  readonly holdMs: number;
  /** The table to lock before the end. */
  readonly upgrade: string | null;
}

const SESSIONS = 3;
const MOVES_EACH = 4;
const HOLD_MS = 250;

async function runInTraffic({ stage, workload, random }: Trial): Promise<Disturbance> {
  const plans = Array.from({ length: SESSIONS }, () =>
    Array.from({ length: MOVES_EACH }, () => chooseMove(random)),
  );
  const sessions = plans.map((moves) => drive(stage.url, moves));
  await pause(random.integer(0, 50));
  const running = fire(await stage.warm(workload), {
    ddlLockTimeoutMs: random.pick([50, 200, 1_000]),
  });
  await Promise.all(sessions);
  const faultAt = performance.now();
  return {
    what: `${SESSIONS} sessions hold locks: ${plans.map((moves) => moves.map(describe).join("; ")).join(" | ")}`,
    faultAt,
    shots: [await running],
    killed: false,
    lockFreeMs: Promise.resolve(null),
  };
}

function chooseMove(random: Random): Move {
  return {
    name: random.pick(["read", "write", "touch", "touch", "snapshot", "exclude", "block"]),
    holdMs: random.integer(0, HOLD_MS),
    upgrade: random.pick(UPGRADES),
  };
}

function describe({ name, holdMs, upgrade }: Move): string {
  return `${name} ${holdMs} ms${upgrade === null ? "" : `, lock ${upgrade}`}`;
}

async function drive(url: string, moves: readonly Move[]): Promise<void> {
  const session = createWatch(url);
  for (const { name, holdMs, upgrade } of moves) {
    try {
      for (const statement of MOVES[name]) await session.sql(statement);
      await pause(holdMs);
      if (upgrade !== null) await session.sql(`lock table ${upgrade} in share row exclusive mode`);
      await session.sql("commit");
    } catch {
      // It lost a deadlock against the run or another session, as applications do.
      await session.sql("rollback");
    }
  }
  await session.close();
}

import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import type { Log } from "../log.ts";
import { describeSession, type SessionFacts } from "../postgres/activity.ts";
import { LOCK_NOT_AVAILABLE } from "../postgres/errors.ts";
import { backoffMs, pause } from "../wait.ts";
import { type Blockers, findHolders, watchBlockers } from "./blockers.ts";

/** How patiently a transaction waits for the locks of others. */
export interface Patience {
  /** How long one statement waits for a lock at a time, in ms: for so long others queue behind it. */
  readonly lockTimeoutMs: number;
  /** Epoch ms; no attempt is begun that could not end before. */
  readonly deadline: number;
  readonly log: Log;
  /** Given what tells at any time for whom it waits. */
  onWatch?(blockers: Blockers): void;
}

/** SQLSTATEs of a transaction that lost against others and may win the next time. */
const CONTENTION: Readonly<Record<string, string>> = {
  [LOCK_NOT_AVAILABLE]: "could not get a lock that others hold",
  "40P01": "deadlocked with others",
  "40001": "collided with others",
};

/** Others have just created the same schema, table or type: `if not exists` looks before they commit. In any language. */
const CREATED_MEANWHILE = /\bpg_(?:namespace|class|type)_\w+_index\b.*\(23505\)/;

/** Room for the rollback and the answer behind the last attempt. */
const ANSWER_MARGIN_MS = 1_000;
const MAX_PAUSE_MS = 5_000;
const MIN_PAUSE_MS = 50;

/**
 * Repeats a transaction that lost against other sessions, with backoff and jitter, until the deadline:
 * nobody then queues behind us for longer than one lock time-out at a time.
 * @param attempt sends the whole transaction, and leaves nothing behind when it fails
 * @throws MigratorError `LOCK_TIMEOUT`, naming who blocks whom; `DEADLINE`, naming them too where the time
 *   ran out while it waited
 */
export async function retryOnContention<Result>(
  connection: Connection,
  patience: Patience,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const blockers = watchBlockers(connection, patience);
  patience.onWatch?.(blockers);
  try {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await attempt();
      } catch (thrown) {
        const lost = lostAgainstOthers(thrown, blockers, attempts);
        await blockers.settled();
        const pauseMs = nextPauseMs(lost, attempts, patience);
        if (pauseMs === null) {
          throw await lockTimeout(lost, attempts, blockers.lastSeen(), connection);
        }
        patience.log("transaction.retry", {
          attempt: attempts,
          sqlstate: lost.facts.sqlstate,
          migration: lost.facts.migration,
          blockedBy: blockers.lastSeen().map(({ pid }) => pid),
        });
        await pause(pauseMs);
      }
    }
  } finally {
    blockers.stop();
  }
}

/** @throws what was thrown, where it is nothing that passes by itself */
function lostAgainstOthers(thrown: unknown, blockers: Blockers, attempts: number): MigratorError {
  if (!(thrown instanceof MigratorError)) throw thrown;
  if (thrown.code === "DEADLINE") {
    // Between two attempts it waits for nobody, and will again.
    const present = blockers.present();
    throw outOfTime(thrown, present.length > 0 || attempts === 1 ? present : blockers.lastSeen());
  }
  if (whyLost(thrown) === undefined) throw thrown;
  return thrown;
}

function whyLost({ facts, message }: MigratorError): string | undefined {
  if (CREATED_MEANWHILE.test(message)) return "collided with others";
  return CONTENTION[facts.sqlstate ?? ""];
}

/**
 * Who has queued behind us for a whole lock time-out gets as long without us, so that traffic is never held
 * for more than half of the time.
 * @returns null when no other attempt could end before the deadline
 */
function nextPauseMs(
  lost: MigratorError,
  attempts: number,
  { lockTimeoutMs, deadline }: Patience,
): number | null {
  const queued = lost.facts.sqlstate === LOCK_NOT_AVAILABLE ? lockTimeoutMs : 0;
  const wantedMs = Math.min(Math.max(backoffMs(attempts), queued), MAX_PAUSE_MS);
  const leftMs = deadline - Date.now() - lockTimeoutMs - ANSWER_MARGIN_MS;
  return leftMs < MIN_PAUSE_MS ? null : Math.min(wantedMs, leftMs);
}

/** The error for a run whose time was over while it waited for others. */
export function outOfTime(error: unknown, blockers: readonly SessionFacts[]): unknown {
  if (blockers.length === 0 || !(error instanceof MigratorError)) return error;
  return new MigratorError(
    error.code,
    `${error.message} It was waiting for others. ${blockedBy(blockers)} ${wayOut(blockers)}`,
    { ...error.facts, cause: error },
  );
}

async function lockTimeout(
  lost: MigratorError,
  attempts: number,
  seen: readonly SessionFacts[],
  connection: Connection,
): Promise<MigratorError> {
  const why = whyLost(lost) ?? "lost against others";
  const often = attempts === 1 ? "once" : `${attempts} times`;
  const found = seen.length > 0 ? [] : await findHolders(connection, lost.facts.statement?.excerpt);
  const who = found.length > 0 ? `${NOT_SEEN} ${named(found)}.` : blockedBy(seen);
  return new MigratorError(
    "LOCK_TIMEOUT",
    `${lost.message} The transaction ${why}, ${often} until the time was over; it is rolled back. ${who} ${wayOut([...seen, ...found])}`,
    { ...lost.facts, cause: lost, retryable: true },
  );
}

function blockedBy(blockers: readonly SessionFacts[]): string {
  return blockers.length === 0
    ? "Who they are could not be seen."
    : `Blocked by: ${named(blockers)}.`;
}

/** Not all of those need to have stood in its way. */
const NOT_SEEN = "Nobody came to see it wait. Locks on what it names have now:";

function named(sessions: readonly SessionFacts[]): string {
  return sessions.map(describeSession).join("; ");
}

function wayOut(blockers: readonly SessionFacts[]): string {
  const end = blockers.map(({ pid }) => `select pg_terminate_backend(${pid});`).join(" ");
  return end === ""
    ? "Run again at a quieter time."
    : `Run again at a quieter time, or end them with: ${end}`;
}

import type { Connection } from "../connection/connection.ts";
import { isCutOffFromStorage } from "../connection/errors.ts";
import { MigratorError, STOPS } from "../errors.ts";
import type { Log } from "../log.ts";
import {
  describeQuery,
  describeSession,
  endStatement,
  type SessionFacts,
} from "../postgres/activity.ts";
import { LOCK_NOT_AVAILABLE } from "../postgres/errors.ts";
import { backoffMs, pause } from "../wait.ts";
import { type Blockers, findHolders, type Look, type OnWait, watchBlockers } from "./blockers.ts";

/** The patience of a transaction with the locks of other sessions. */
export interface Patience {
  /** Longest wait of one statement for a lock, in ms. Other sessions queue behind it for as long. */
  readonly lockTimeoutMs: number;
  /** Epoch ms. No attempt begins that could not end before. */
  readonly deadline: number;
  readonly log: Log;
  /** Whether it is a statement that stands alone, outside any transaction. */
  readonly alone?: boolean;
  readonly onWait?: OnWait;
  readonly onLook?: (look: Look) => void;
  /** Receives the watch, which says at any time for whom the transaction waits. */
  onWatch?(watch: Watch): void;
}

/** The watch of a transaction, for those who stop it. */
export interface Watch extends Pick<Blockers, "look"> {
  /** Adds the sessions in the way at this moment to an error. */
  named(error: unknown): unknown;
}

/** SQLSTATEs of a transaction that lost against other sessions and may win the next time. */
const CONTENTION: Readonly<Record<string, string>> = {
  [LOCK_NOT_AVAILABLE]: "could not get a lock that others hold",
  "40P01": "deadlocked with others",
  "40001": "collided with others",
};

/**
 * Another session has just created the same schema, table or type: `if not exists` looks before that session commits.
 * The pattern fits messages in every language.
 */
const CREATED_MEANWHILE = /\bpg_(?:namespace|class|type)_\w+_index\b.*\(23505\)/;

/** Time that is kept for the rollback and the answer after the last attempt. */
const ANSWER_MARGIN_MS = 1_000;
const MAX_PAUSE_MS = 5_000;
const MIN_PAUSE_MS = 50;

/**
 * Repeats a transaction that lost against other sessions, with backoff and jitter, until the deadline. So nobody
 * queues behind us for longer than one lock time-out at a time.
 * @param attempt sends the whole transaction, and leaves nothing behind when it fails
 * @throws MigratorError `LOCK_TIMEOUT`, which names the sessions in the way; `DEADLINE`, which names them too if the
 *   time ran out during a wait
 */
export async function retryOnContention<Result>(
  connection: Connection,
  patience: Patience,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const blockers = watchBlockers(connection, patience);
  patience.onWatch?.({
    look: blockers.look,
    named: (error) => outOfTime(error, blockers.present()),
  });
  try {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await attempt();
      } catch (thrown) {
        const lost = lostAgainstOthers(thrown, blockers);
        await blockers.settled();
        const pauseMs = nextPauseMs(lost, attempts, patience);
        if (pauseMs === null) {
          throw await lockTimeout(lost, attempts, blockers.lastSeen(), { connection, patience });
        }
        patience.log("transaction.retry", {
          attempt: attempts,
          sqlstate: lost.facts.sqlstate,
          migration: lost.facts.migration,
          blockedBy: blockers.lastSeen().map(({ pid }) => pid),
        });
        await pause(pauseMs);
        stopBetweenAttempts(connection, blockers);
      }
    }
  } finally {
    blockers.stop();
  }
}

/** @throws the reason why the run was stopped during a pause, with the sessions that stood in the way before it */
function stopBetweenAttempts(connection: Connection, blockers: Blockers): void {
  try {
    connection.assertLive();
  } catch (reason) {
    throw outOfTime(reason, blockers.lastSeen());
  }
}

/**
 * Returns the error of a transaction that may win the next time.
 * @throws any other error; a `DEADLINE` names the sessions in the way
 */
function lostAgainstOthers(thrown: unknown, blockers: Blockers): MigratorError {
  if (!(thrown instanceof MigratorError)) throw thrown;
  if (STOPS.includes(thrown.code)) throw outOfTime(thrown, blockers.present());
  // A statement that may have committed something must not be sent again, whatever it was refused for.
  if (thrown.code === "STEP_IN_DOUBT") throw thrown;
  if (isCutOffFromStorage(thrown)) throw cutOff(thrown);
  if (whyLost(thrown) === undefined) throw thrown;
  return thrown;
}

/** The next attempt has another session, and begins where this one has ended. */
function cutOff({ message, facts }: MigratorError): MigratorError {
  return new MigratorError(
    "CONNECTION_LOST",
    `${message} The compute had lost its storage for a moment. What was not committed is rolled back; run again.`,
    { ...facts, retryable: true },
  );
}

function whyLost({ facts, message }: MigratorError): string | undefined {
  if (CREATED_MEANWHILE.test(message)) return "collided with others";
  return CONTENTION[facts.sqlstate ?? ""];
}

/**
 * Returns the pause before the next attempt, in ms. After a lock time-out the pause is as long as the time-out: other
 * sessions queued behind us for that long, and traffic is never held for more than half of the time.
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

/** Adds the sessions in the way to the error of a run whose time ran out while it waited for them. */
function outOfTime(error: unknown, blockers: readonly SessionFacts[]): unknown {
  if (blockers.length === 0 || !(error instanceof MigratorError)) return error;
  return new MigratorError(
    error.code,
    `${error.message} It was waiting for others. ${blockedBy(blockers)}\n${wayOut(blockers)}`,
    { ...error.facts, cause: error, withheld: blockers.flatMap(describeQuery) },
  );
}

async function lockTimeout(
  lost: MigratorError,
  attempts: number,
  seen: readonly SessionFacts[],
  { connection, patience }: { readonly connection: Connection; readonly patience: Patience },
): Promise<MigratorError> {
  const why = whyLost(lost) ?? "lost against others";
  const often = attempts === 1 ? "once" : `${attempts} times`;
  const found = seen.length > 0 ? [] : await findHolders(connection, lost.facts.statement?.excerpt);
  const lostAlone = patience.alone === true && lost.facts.statement !== undefined;
  const who = found.length > 0 ? `${NOT_SEEN}\n${listOf(found)}` : blockedBy(seen);
  return new MigratorError(
    "LOCK_TIMEOUT",
    `${lost.message} ${whatLost(lostAlone, `${why}, ${often} until the time was over`)} ${who}\n${wayOut([...seen, ...found])}`,
    {
      ...lost.facts,
      cause: lost,
      retryable: true,
      withheld: [...seen, ...found].flatMap(describeQuery),
    },
  );
}

/**
 * A transaction leaves nothing. A statement that stands alone may: then its own message says what. What loses beside such a
 * statement is the transaction of its record.
 */
function whatLost(alone: boolean, how: string): string {
  return alone
    ? `The statement ${how}; it is not done.`
    : `The transaction ${how}; it is rolled back.`;
}

function blockedBy(blockers: readonly SessionFacts[]): string {
  return blockers.length === 0
    ? "Who they are could not be seen."
    : `Blocked by:\n${listOf(blockers)}`;
}

/** Some of these sessions may not have stood in the way. */
const NOT_SEEN =
  "No session was seen that blocked it. These have locks on the objects that it names:";

/** Lists sessions, a line for each, with the statement that ends it in the next line. */
function listOf(sessions: readonly SessionFacts[]): string {
  return sessions
    .map((each) => `- ${describeSession(each)}\n  To end it: ${endStatement(each)}`)
    .join("\n");
}

function wayOut(blockers: readonly SessionFacts[]): string {
  const those = blockers.length === 0 ? "" : `, or end ${blockers.length === 1 ? "it" : "them"}`;
  return `Run again at a quieter time${those}.`;
}

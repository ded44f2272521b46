import { backoffMs } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { MigratorError } from "./errors.ts";
import type { Log } from "./log.ts";
import { describeSession, type SessionFacts } from "./sessions.ts";

/** How patiently a transaction waits for the locks of others. */
export interface Patience {
  /** How long one statement waits for a lock at a time, in ms: for so long others queue behind it. */
  readonly lockTimeoutMs: number;
  /** Epoch ms; no attempt is begun that could not end before. */
  readonly deadline: number;
  readonly log: Log;
}

/** SQLSTATEs of a transaction that lost against others and may win the next time. */
const CONTENTION: Readonly<Record<string, string>> = {
  "55P03": "could not get a lock that others hold",
  "40P01": "deadlocked with others",
  "40001": "collided with others",
};

/** Room for the rollback and the answer behind the last attempt. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * Repeats a transaction that lost against other sessions, with backoff and jitter, until the deadline:
 * nobody then queues behind us for longer than one lock time-out at a time.
 * @param attempt sends the whole transaction, and leaves nothing behind when it fails
 * @throws MigratorError `LOCK_TIMEOUT`, naming who blocks whom
 */
export async function withPatience<Result>(
  connection: Connection,
  patience: Patience,
  attempt: () => Promise<Result>,
): Promise<Result> {
  let blockers: readonly SessionFacts[] = [];
  for (let attempts = 1; ; attempts += 1) {
    const watch = watchBlockers(connection, patience.lockTimeoutMs);
    try {
      return await attempt();
    } catch (thrown) {
      const lost = lostAgainstOthers(thrown);
      blockers = latest(await watch.seen(), blockers);
      const pauseMs = backoffMs(attempts);
      const nextEnd = Date.now() + pauseMs + patience.lockTimeoutMs + ANSWER_MARGIN_MS;
      if (nextEnd >= patience.deadline) throw lockTimeout(lost, attempts, blockers);
      patience.log("transaction.retry", {
        attempt: attempts,
        sqlstate: lost.facts.sqlstate,
        migration: lost.facts.migration,
        blockedBy: blockers.map(({ pid }) => pid),
      });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    } finally {
      watch.stop();
    }
  }
}

/** @throws what was thrown, where it is nothing that passes by itself */
function lostAgainstOthers(thrown: unknown): MigratorError {
  if (!(thrown instanceof MigratorError) || thrown.code !== "MIGRATION_FAILED") throw thrown;
  if (CONTENTION[thrown.facts.sqlstate ?? ""] === undefined) throw thrown;
  return thrown;
}

function latest<Item>(seen: readonly Item[], before: readonly Item[]): readonly Item[] {
  return seen.length > 0 ? seen : before;
}

interface Watch {
  seen(): Promise<readonly SessionFacts[]>;
  stop(): void;
}

/** Who blocks us can be asked only while we wait, and only from another session. */
function watchBlockers(connection: Connection, lockTimeoutMs: number): Watch {
  let asked: Promise<readonly SessionFacts[]> | null = null;
  const timer = setTimeout(() => {
    asked = askBlockers(connection, lockTimeoutMs);
  }, lockTimeoutMs / 4);
  return { seen: async () => (await asked) ?? [], stop: () => clearTimeout(timer) };
}

async function askBlockers(
  connection: Connection,
  timeoutMs: number,
): Promise<readonly SessionFacts[]> {
  const rows = await connection.beside(timeoutMs, (helper) =>
    helper.query<SessionFacts>(
      `
      select
        a.pid, a.usename::text as "role", a.application_name as "application", a.state,
        extract(epoch from now() - coalesce(a.xact_start, a.backend_start))::int as "seconds",
        left(a.query, 200) as "query"
      from unnest(pg_blocking_pids($1::int)) as b (pid)
      join pg_catalog.pg_stat_activity a on a.pid = b.pid
      `,
      [connection.backendPid],
    ),
  );
  return rows ?? [];
}

function lockTimeout(
  lost: MigratorError,
  attempts: number,
  blockers: readonly SessionFacts[],
): MigratorError {
  const why = CONTENTION[lost.facts.sqlstate ?? ""] ?? "lost against others";
  const who =
    blockers.length === 0
      ? "Who they are could not be seen."
      : `Blocked by: ${blockers.map(describeSession).join("; ")}.`;
  const end = blockers.map(({ pid }) => `select pg_terminate_backend(${pid});`).join(" ");
  const wayOut =
    end === ""
      ? "Run again at a quieter time."
      : `Run again at a quieter time, or end them with: ${end}`;
  return new MigratorError(
    "LOCK_TIMEOUT",
    `${lost.message} The transaction ${why}, ${attempts} times until the time was over; it is rolled back. ${who} ${wayOut}`,
    { ...lost.facts, cause: lost, retryable: true },
  );
}

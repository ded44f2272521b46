import { MigratorError, toError } from "../errors.ts";
import { type PostgresFacts, postgresFacts } from "../postgres/errors.ts";

const OTHERWISE =
  "if the compute wakes slowly; otherwise check the host and the way out of the network.";

function seenBy(last: unknown): string {
  return last === null || last === undefined
    ? ""
    : ` The last attempt failed with: ${toError(last).message}`;
}

/** Makes the error for a connection that was not open in time. */
export function connectTimeout(host: string, waitedMs: number, last: unknown): MigratorError {
  return new MigratorError(
    "CONNECT_TIMEOUT",
    `${host} did not answer the first query within ${waitedMs} ms.${seenBy(last)} Raise CONNECT_TIMEOUT_MS ${OTHERWISE}`,
    { cause: last ?? undefined, retryable: true },
  );
}

/** Makes the error for a connection that was not open when the time of the whole run was over. */
export function connectDeadline(timeout: MigratorError, host: string): MigratorError {
  return new MigratorError(
    "DEADLINE",
    `The time for this run was over before ${host} answered the first query.${seenBy(timeout.facts.cause)} Raise the function's time-out, or timeoutMs, ${OTHERWISE}`,
    { cause: timeout, retryable: true },
  );
}

/** Whether the server refused a password that came before it asked for one (it wants SCRAM, or no password at all). */
export function refusesPipelinedLogin(thrown: unknown): boolean {
  return postgresFacts(thrown)?.sqlstate === "08P01";
}

/** A migration's own `transaction_timeout` has ended the session: the next attempt would end in the same way. */
const TRANSACTION_TIMEOUT = "25P04";

/**
 * Whether the session is gone after this error. PostgreSQL calls that FATAL or PANIC, in words of other languages too. A
 * mere ERROR about connections comes from a statement with connections of its own, `dblink` for example. A proxy or a
 * pooler calls all it says ERROR, and unlike PostgreSQL names no file: it speaks of the session, and hangs up.
 */
export function endsSession({ sqlstate, severity, file }: PostgresFacts): boolean {
  if (sqlstate === TRANSACTION_TIMEOUT) return false;
  if (severity === "FATAL" || severity === "PANIC") return true;
  const isOfSessions = /^(08|57P0[1-5]|25P03)/.test(sqlstate);
  if (severity !== "ERROR") return isOfSessions;
  return file === null && /^(XX000|08|53|57P)/.test(sqlstate);
}

/**
 * Whether Neon's compute was cut off from its storage. It has then tried to reach it for a while, and fails the statement;
 * the session lives.
 */
export function isCutOffFromStorage(thrown: unknown): boolean {
  return postgresFacts(thrown)?.message.startsWith("[NEON_SMGR]") === true;
}

/** Makes the error for a connection that went away. @param first the first thing that went wrong: it is the cause */
export function connectionLost(first: unknown): MigratorError {
  const server = postgresFacts(first);
  const reason =
    server?.message ?? (first instanceof Error ? first.message : "no reason was given");
  return new MigratorError(
    "CONNECTION_LOST",
    `The connection to the database was lost: ${reason}. What was not committed is rolled back; run again.`,
    {
      ...{ cause: first, retryable: true, unconfirmed: true },
      ...(server && { sqlstate: server.sqlstate }),
    },
  );
}

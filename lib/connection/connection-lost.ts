import { MigratorError } from "../errors.ts";
import { type PostgresFacts, postgresFacts } from "../postgres/errors.ts";

/**
 * Whether the session is gone after this: connection exceptions, shutdowns, idle-in-transaction. As a mere ERROR they
 * come from a statement that has connections of its own, `dblink` for example.
 */
export function endsSession({ sqlstate, severity }: PostgresFacts): boolean {
  const isOfSessions =
    sqlstate.startsWith("08") || ["57P01", "57P02", "57P03", "57P05", "25P03"].includes(sqlstate);
  return isOfSessions && severity !== "ERROR";
}

/** What is said of a connection that went away. @param first what went wrong first, which is why */
export function connectionLost(first: unknown): MigratorError {
  const server = postgresFacts(first);
  const reason =
    server?.message ?? (first instanceof Error ? first.message : "no reason was given");
  return new MigratorError(
    "CONNECTION_LOST",
    `The connection to the database was lost: ${reason}. What was not committed is rolled back; run again.`,
    { cause: first, retryable: true, ...(server === null ? {} : { sqlstate: server.sqlstate }) },
  );
}

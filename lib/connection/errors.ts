import { type ErrorCode, MigratorError, toError } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, type PostgresFacts, postgresFacts } from "../postgres/errors.ts";

/** The report of one kind of failure on the way to the database. */
interface Verdict {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly advice: string;
}

const LOGIN: Verdict = {
  code: "LOGIN_FAILED",
  retryable: false,
  advice: "Check the user and the password in the connection string.",
};
const DENIED: Verdict = {
  code: "LOGIN_FAILED",
  retryable: false,
  advice: "Check the connection string, its options included, and whether the role may CONNECT.",
};
const DATABASE: Verdict = {
  code: "DATABASE_NOT_FOUND",
  retryable: false,
  advice: "Check the database name in the connection string, or create the database.",
};
const WAKING: Verdict = {
  code: "ENDPOINT_UNAVAILABLE",
  retryable: true,
  advice: "The compute is starting, stopping or full. Try again in a moment.",
};
const BLOCKED: Verdict = {
  code: "ENDPOINT_UNAVAILABLE",
  retryable: false,
  advice:
    "Look at the project in the Neon console: the endpoint, its quota and its allowed addresses.",
};
const WITHOUT_XML: Verdict = {
  code: "ENDPOINT_UNAVAILABLE",
  retryable: false,
  advice:
    "This PostgreSQL is built without libxml, which reading the ledger needs. Neon's is built with it; take one that is.",
};
const REFUSED: Verdict = {
  code: "UNREACHABLE",
  retryable: false,
  advice: "Check the host in the connection string.",
};
const NETWORK: Verdict = {
  code: "UNREACHABLE",
  retryable: true,
  advice: "Check the host in the connection string and the way out of the network.",
};

/** Neon's proxy says so during maintenance, which passes, and above a quota, which does not. */
const TEMPORARY = /endpoint is temporarily unavailable/;
const TEMPORARY_ATTEMPTS = 3;

/** The refusals of PostgreSQL itself before the login is through, by SQLSTATE. */
const BY_SQLSTATE: Readonly<Record<string, Verdict>> = {
  "28P01": LOGIN,
  "28000": LOGIN,
  "3D000": DATABASE,
  [INSUFFICIENT_PRIVILEGE]: DENIED,
  "55000": BLOCKED,
  "57014": WAKING,
  "53300": WAKING,
  "57P01": WAKING,
  "57P02": WAKING,
  "57P03": WAKING,
};

/** Connection exceptions, a lack of resources, an operator at work. */
const PASSING_CLASSES: readonly string[] = ["08", "53", "57"];
const PROXY_SQLSTATE = "XX000";

/**
 * The refusals of Neon's proxy. All of them carry SQLSTATE XX000, so only the text tells them apart (source: error texts of
 * neondatabase/neon, `proxy/src`). The first match wins.
 */
const BY_PROXY_TEXT: readonly (readonly [RegExp, Verdict])[] = [
  [/^unsupported XML feature/, WITHOUT_XML],
  [/^password authentication failed/, LOGIN],
  [/^database ".*" does not exist/, DATABASE],
  [/^permission denied for database/, DENIED],
  [TEMPORARY, WAKING],
  [/endpoint cannot be found|endpoint is disabled|quota|exceeded/i, BLOCKED],
  [/IP address .* not allowed|blocked network|VPC endpoint/i, BLOCKED],
  [
    /^(Endpoint ID is not specified|Inconsistent project name|unsupported startup parameter)/,
    REFUSED,
  ],
  [/^Control plane request failed|^Couldn't connect to compute node/, WAKING],
  [/permit to connect|^Too many connections|^Authentication timed out|^Internal error/, WAKING],
  [/the database system is (starting up|shutting down)|connection slots are reserved/, WAKING],
];

/**
 * Says what a failed login really was. The driver reports each failure on the first query: without this function a wrong
 * password would look like a failed statement.
 * @param thrown the driver's error, an `ErrorEvent` of the WebSocket included
 * @param host the host that was tried, for the message
 */
export function connectError(thrown: unknown, host: string): MigratorError {
  const server = postgresFacts(thrown);
  const text = server?.message ?? toError(thrown).message;
  const verdict = server === null ? byTransport(text) : byServer(server.sqlstate, text);
  const what = verdict.code === "UNREACHABLE" ? "could not be reached" : "did not let us in";
  return new MigratorError(
    verdict.code,
    `${host} ${what}: ${text === "" ? "no reason was given" : text}. ${verdict.advice}`,
    {
      ...{ cause: thrown, retryable: verdict.retryable },
      ...(server && { sqlstate: server.sqlstate }),
    },
  );
}

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

/** Returns the most attempts that this error is worth: some errors may pass, and are not worth the whole time. */
export function mostAttempts({ message }: MigratorError): number {
  return TEMPORARY.test(message) ? TEMPORARY_ATTEMPTS : Number.POSITIVE_INFINITY;
}

/** Whether the server refused a password that came before it asked for one (it wants SCRAM, or no password at all). */
export function refusesPipelinedLogin(thrown: unknown): boolean {
  return postgresFacts(thrown)?.sqlstate === "08P01";
}

function byServer(sqlstate: string, text: string): Verdict {
  const verdict = BY_SQLSTATE[sqlstate];
  if (verdict !== undefined) return verdict;
  const known = BY_PROXY_TEXT.find(([pattern]) => pattern.test(text));
  if (known !== undefined) return known[1];
  // The proxy hands on the words of Neon's control plane to the user.
  if (sqlstate === PROXY_SQLSTATE) return BLOCKED;
  return PASSING_CLASSES.includes(sqlstate.slice(0, 2)) ? WAKING : DENIED;
}

/** A 4xx answer to the WebSocket upgrade will be the same next time, but a time-out (408) or "too many" (429) may pass. */
function byTransport(text: string): Verdict {
  return /Unexpected server response: 4(?!08|29)\d\d/.test(text) ? REFUSED : NETWORK;
}

/**
 * Whether the session is gone after this error: a connection exception, a shutdown, an idle transaction. A mere ERROR of
 * that kind comes from a statement with connections of its own, `dblink` for example.
 */
export function endsSession({ sqlstate, severity }: PostgresFacts): boolean {
  const isOfSessions =
    sqlstate.startsWith("08") || ["57P01", "57P02", "57P03", "57P05", "25P03"].includes(sqlstate);
  return isOfSessions && severity !== "ERROR";
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

import { type ErrorCode, MigratorError, toError } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, postgresFacts } from "../postgres/errors.ts";
import { backoffMs } from "../wait.ts";

/**
 * Whether the next attempt may be let in: `maybe` is worth three attempts, `slowly` a pause of seconds in which another
 * compute may go to sleep.
 */
type Passes = "soon" | "slowly" | "maybe" | "never";

/** The report of one kind of failure on the way to the database. */
interface Verdict {
  readonly code: ErrorCode;
  readonly passes: Passes;
  readonly advice: string;
  /** Default: it passes. */
  readonly retryable?: boolean;
}

const LOGIN: Verdict = {
  code: "LOGIN_FAILED",
  passes: "never",
  advice:
    "Check the user and the password in the connection string, and whether the role may log in.",
};
const PROTECTED: Verdict = { ...LOGIN, advice: "Name another role in the connection string." };
const DENIED: Verdict = {
  ...LOGIN,
  advice: "Check the connection string, its options included, and whether the role may CONNECT.",
};
const DATABASE: Verdict = {
  code: "DATABASE_NOT_FOUND",
  passes: "never",
  advice: "Check the database name in the connection string, or create the database.",
};
const WAKING: Verdict = {
  code: "ENDPOINT_UNAVAILABLE",
  passes: "soon",
  advice: "The compute is starting, stopping, full or cut off for a moment. Try again in a moment.",
};
const MAINTENANCE: Verdict = {
  ...WAKING,
  passes: "maybe",
  advice:
    "The cause is maintenance, which ends by itself, or a quota, which does not. Look at the project in the Neon console.",
};
const UNKNOWN: Verdict = {
  ...WAKING,
  passes: "maybe",
  retryable: false,
  advice:
    "This refusal is not known here, so it was tried no more than 3 times. Look at the project in the Neon console, and at neonstatus.com.",
};
const SLOTS: Verdict = {
  ...WAKING,
  passes: "slowly",
  advice:
    "As many computes are active as the project may have. Suspend one in the Neon console, or try again when one is suspended.",
};
const QUOTA: Verdict = {
  code: "ENDPOINT_UNAVAILABLE",
  passes: "never",
  advice: "Look at the quota and the plan of the project in the Neon console.",
};
const MISSING: Verdict = {
  ...QUOTA,
  advice: "Check the host in the connection string: its endpoint, branch or project is not there.",
};
const DISABLED: Verdict = { ...QUOTA, advice: "Enable the compute in the Neon console." };
const BLOCKED: Verdict = {
  ...QUOTA,
  advice:
    "Look at the addresses and the networks that may connect, in the settings of the project in the Neon console.",
};
const CLOSED: Verdict = {
  ...QUOTA,
  advice: "The database takes no connections: it is being dropped, or ALLOW_CONNECTIONS is false.",
};
const WITHOUT_XML: Verdict = {
  ...QUOTA,
  advice:
    "This PostgreSQL is built without libxml, which reading the ledger needs. Neon's is built with it; take one that is.",
};
const REFUSED: Verdict = {
  code: "UNREACHABLE",
  passes: "never",
  advice: "Check the host in the connection string, and its options.",
};
const NETWORK: Verdict = {
  code: "UNREACHABLE",
  passes: "soon",
  advice: "Check the host in the connection string, and whether this network lets connections out.",
};

const OVER_TCP: Verdict = {
  ...NETWORK,
  advice: "Check host and port in the connection string, and whether a PostgreSQL listens there.",
};

/** A host that is not Neon's may be a PostgreSQL that speaks no WebSocket. */
const NEON_HOST = /\.neon\.(?:tech|build)$/i;

function elsewhere(host: string): string {
  return `${host} is no host of Neon's, which is reached by WebSocket on port 443, whatever port the connection string has. A PostgreSQL elsewhere is reached over TCP: use --relay of the command line.`;
}

type Texts = readonly (readonly [RegExp, Verdict])[];

/** A pooler remembers why its own login failed. Its words are those of the server. */
const REMEMBERED = /^server login has been failing, cached error: (FATAL: +)?/i;

/**
 * Texts that begin with a name that somebody chose. They are read before all others, so that a database named "quota" is
 * no quota.
 */
const WITH_NAMES: Texts = [
  [/^(sasl |password )?auth(entication)? failed|^malformed password/i, LOGIN],
  [/^role ".*" (does not exist|is not permitted to log in)|^no pg_hba\.conf entry/i, LOGIN],
  [/^the role .* is protected/i, PROTECTED],
  [/^database ".*" does not exist|^no such database/i, DATABASE],
  [/^database ".*" is not currently accepting|^cannot connect to invalid database/i, CLOSED],
  [/^permission denied for database/i, DENIED],
  [/^too many connections for (role|database)/i, WAKING],
];

/**
 * Texts that say what it is, whatever the SQLSTATE. Neon's proxy has sent all of them with XX000; by reports some come with
 * other codes since, also with codes of what passes (sources: `local/relay/refusals.ts`). The first match wins.
 */
const TELLING: Texts = [
  // The relay of the command line passes on what the network has said.
  [/^(?:connect|getaddrinfo) E[A-Z]+/, OVER_TCP],
  [/^unsupported XML feature/i, WITHOUT_XML],
  [/is temporarily unavailable/i, MAINTENANCE],
  [/limit of (concurrently )?active endpoints|active endpoints limit/i, SLOTS],
  [/\bquotas?\b|upgrade your plan|size limit .*exceeded|exceeded the compute time/i, QUOTA],
  [/rate limit|too many|running (conflicting )?operations/i, WAKING],
  [/could not be authorized due to an internal error/i, WAKING],
  [/\b(endpoint|project|branch|resource)\b (cannot|could not) be found/i, MISSING],
  [/\b(endpoint|compute)\b (is|has been) disabled/i, DISABLED],
  [/(address|VPC endpoint id) \S+ is not allowed|blocked network|VPC endpoint ID is not/i, BLOCKED],
  [
    /endpoint ID is not specified|inconsistent project name|^project name|unsupported startup parameter|missing in startup packet|connection is insecure/i,
    REFUSED,
  ],
];

/** The refusals of PostgreSQL before the login is through, by SQLSTATE or its class. */
const BY_SQLSTATE: Readonly<Record<string, Verdict>> = {
  "28": LOGIN,
  "3D": DATABASE,
  [INSUFFICIENT_PRIVILEGE]: DENIED,
  "55000": CLOSED,
  // A connection exception, a lack of resources, an operator at work.
  "08": WAKING,
  "53": WAKING,
  "57": WAKING,
  // What the connection string asks for is wrong, or somebody's own code refuses the login.
  ...Object.fromEntries(["0A", "0P", "22", "3F", "42", "P0"].map((of) => [of, DENIED])),
};

/** Neon is reported to send the bare class for quotas, too. */
const INSUFFICIENT_RESOURCES = "53000";

/** Texts of what passes, where the SQLSTATE says nothing: those of the proxy, of the compute and of its pooler. */
const PASSING = new RegExp(
  [
    "control plane request failed\\.?$|could(n't| not) connect to|(resource permit|permit to connect)",
    "timed? ?out|internal error|network issue|endpoint is idle|page ?server",
    "the database system is|connection slots|connection limit|no more connections",
    "error (communicating|connecting|performing|parsing)|unexpected message|terminating connection",
    "connection (closed|reset|refused|lost|terminated)|shutting down|try again (later|in )|retry request",
    "server_login_retry|query_wait_timeout|server conn crashed|\\beof\\b|restart",
  ].join("|"),
  "i",
);

/** The names in a text are no words of it. An apostrophe begins no name. */
const NAMES = /"[^"]*"|(?<!\w)'[^']*'/g;

/** The attempts for what may pass or not. */
const MAYBE_ATTEMPTS = 3;
const SLOW_MIN_MS = 5_000;
const SLOW_MAX_MS = 30_000;
/** Room for a last attempt behind a long pause. */
const LAST_ATTEMPT_MS = 2_000;

/** No host has this name, or nothing listens there. */
const GONE = /\b(?:ENOTFOUND|ECONNREFUSED)\b/;

/** Counts the attempts to connect that were refused, and says when the next one is due. */
export class Attempts {
  readonly #goneAfterMs: number;
  readonly #started: number = Date.now();
  #all = 0;
  #doubtful = 0;
  #slow = 0;

  /** @param goneAfterMs time after which a host is gone that has no name or refuses connections. Default: never */
  constructor(goneAfterMs: number = Number.POSITIVE_INFINITY) {
    this.#goneAfterMs = goneAfterMs;
  }

  get count(): number {
    return this.#all;
  }

  /**
   * Returns the pause behind a failed attempt, in ms.
   * @param leftMs the time that is left for all attempts
   * @returns null where another attempt is worth nothing
   */
  pauseMs(error: MigratorError, leftMs: number): number | null {
    this.#all += 1;
    const passes =
      error instanceof Refusal ? error.passes : error.facts.retryable === true ? "soon" : "never";
    if (passes === "never") return null;
    if (passes === "maybe") this.#doubtful += 1;
    if (this.#doubtful >= MAYBE_ATTEMPTS) return null;
    const pauseMs = passes === "slowly" ? this.#slowPauseMs(leftMs) : backoffMs(this.#all);
    return pauseMs < Math.min(leftMs, this.#hopeMs(error)) ? pauseMs : null;
  }

  /** Returns the time in which a host that is not there may still come, in ms. */
  #hopeMs({ message }: MigratorError): number {
    const waitedMs = Date.now() - this.#started;
    return GONE.test(message) ? this.#goneAfterMs - waitedMs : Number.POSITIVE_INFINITY;
  }

  #slowPauseMs(leftMs: number): number {
    const fullMs = Math.min(SLOW_MIN_MS * 2 ** this.#slow, SLOW_MAX_MS);
    this.#slow += 1;
    return Math.max(Math.min(fullMs, leftMs - LAST_ATTEMPT_MS), SLOW_MIN_MS);
  }
}

/** An attempt to connect that failed: the error to report, and whether the next one may be let in. */
class Refusal extends MigratorError {
  readonly passes: Passes;
  readonly brief: string;

  constructor(verdict: Verdict, brief: string, cause: unknown, sqlstate: string | undefined) {
    const { code, passes, advice, retryable = passes !== "never" } = verdict;
    super(code, `${brief}. ${advice}`, {
      cause,
      retryable,
      ...(sqlstate !== undefined && { sqlstate }),
    });
    this.passes = passes;
    this.brief = brief;
  }
}

/** Says why an attempt failed, without the advice. */
export function brieflyOf(error: MigratorError): string {
  return error instanceof Refusal ? error.brief : (error.message.split(/\.\s/)[0] ?? "");
}

/**
 * Says what a failed login really was. The driver reports each failure on the first query: without this function a wrong
 * password would look like a failed statement.
 * @param thrown the driver's error, an `ErrorEvent` of the WebSocket included
 * @param host the host that was tried, for the message
 * @param relayed whether a relay stands between. Default: true
 */
export function connectError(thrown: unknown, host: string, relayed = true): MigratorError {
  const server = postgresFacts(thrown);
  const text = server?.message ?? toError(thrown).message;
  const verdict = server === null ? byTransport(text) : byServer(server.sqlstate, text);
  const what = verdict.code === "UNREACHABLE" ? "could not be reached" : "refused the login";
  const reason = text === "" ? "no reason was given" : text;
  const brief = `${host} ${what}: ${reason.replace(/\.$/, "")}`;
  const isElsewhere = server === null && !relayed && !NEON_HOST.test(host);
  const told = isElsewhere ? { ...verdict, advice: elsewhere(host) } : verdict;
  return new Refusal(told, brief, thrown, server?.sqlstate);
}

function byServer(sqlstate: string, text: string): Verdict {
  const said = text.replace(REMEMBERED, "");
  const words = said.replace(NAMES, '""');
  return (
    find(WITH_NAMES, said) ??
    find(TELLING, words) ??
    byCode(sqlstate) ??
    (PASSING.test(words) ? WAKING : UNKNOWN)
  );
}

function byCode(sqlstate: string): Verdict | undefined {
  if (sqlstate === INSUFFICIENT_RESOURCES) return undefined;
  return BY_SQLSTATE[sqlstate] ?? BY_SQLSTATE[sqlstate.slice(0, 2)];
}

function find(texts: Texts, text: string): Verdict | undefined {
  return texts.find(([pattern]) => pattern.test(text))?.[1];
}

/** A 4xx answer to the WebSocket upgrade will be the same next time, but a time-out (408) or "too many" (429) may pass. */
function byTransport(text: string): Verdict {
  return /Unexpected server response: 4(?!08|29)\d\d/.test(text) ? REFUSED : NETWORK;
}

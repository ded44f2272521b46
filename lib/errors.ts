/** The code of every failure. Each code has its row in `docs/reference/errors.md`. */
export const ERROR_CODES = [
  // the folder, at build time
  "FOLDER_NOT_FOUND",
  "JOURNAL_MISSING",
  "JOURNAL_INVALID",
  "LAYOUT_UNSUPPORTED",
  "MIGRATION_FILE_MISSING",
  "MIGRATION_FILE_UNREADABLE",
  "DUPLICATE_TAG",
  "SQL_INVALID",
  "PSQL_ONLY",
  "MERGE_CONFLICT",
  "TWO_PHASE_COMMIT",
  "BYTE_ORDER_MARK",
  "PULL_BASELINE",
  "DIRECTIVE_INVALID",
  // the bundle, the configuration, the call
  "BUNDLE_MISSING",
  "BUNDLE_INVALID",
  "BUNDLE_STALE",
  "BUNDLE_TOO_LARGE",
  "REPORT_INVALID",
  "PAGE_UNWRITABLE",
  "CONFIG_INVALID",
  "PROJECT_CONFIG_INVALID",
  "DATABASE_URL_MISSING",
  "DATABASE_URL_INVALID",
  "SECRET_UNAVAILABLE",
  "REQUEST_INVALID",
  "UNSUPPORTED_EVENT",
  "ANSWER_REFUSED",
  "NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "RUN_NOT_FOUND",
  "RUN_NOT_STARTED",
  // the target that a request names, and the fleet
  "TARGET_DENIED",
  "TARGET_GONE",
  "BUNDLE_MISMATCH",
  "FLEET_INVALID",
  "FLEET_UNAVAILABLE",
  "FLEET_NOT_FOUND",
  "FLEET_DENIED",
  "FLEET_RUNNING",
  // the way to a function that is deployed
  "AWS_SETTINGS_MISSING",
  "CDK_MISSING",
  "FUNCTION_NOT_FOUND",
  "FUNCTION_DENIED",
  "FUNCTION_UNAVAILABLE",
  "FUNCTION_FOREIGN",
  "RUN_UNKNOWN",
  // the way to the database
  "UNREACHABLE",
  "CONNECT_TIMEOUT",
  "LOGIN_FAILED",
  "DATABASE_NOT_FOUND",
  "ENDPOINT_UNAVAILABLE",
  "READ_ONLY",
  "CONNECTION_LOST",
  "POOLED_CONNECTION",
  // the rehearsal
  "REHEARSAL_UNAVAILABLE",
  "REHEARSAL_UNSAFE",
  "REHEARSAL_LIMIT",
  "REHEARSAL_STALE",
  // the way back
  "RESTORE_UNAVAILABLE",
  "RESTORE_POINT_UNKNOWN",
  "RESTORE_OUTSIDE_WINDOW",
  "RESTORE_PROTECTED",
  // the lock and the ledger
  "LOCKED",
  "LOCK_LOST",
  "LEDGER_SPLIT",
  "LEDGER_DENIED",
  "LEDGER_UNKNOWN_FORMAT",
  "LEDGER_UNWRITABLE",
  "LEDGER_CHANGED",
  "LEDGER_FOREIGN",
  "LEDGER_ELSEWHERE",
  "NOT_BASELINED",
  "BASELINE_MISMATCH",
  // the plan
  "OUT_OF_ORDER",
  "MODIFIED",
  "AHEAD",
  "EXECUTOR_UNSUITABLE",
  "NOT_ATOMIC",
  // the run
  "MIGRATION_FAILED",
  "STEP_IN_DOUBT",
  "LOCK_TIMEOUT",
  "DEADLINE",
  "INTERRUPTED",
  "INTERNAL",
] as const;

/** Codes of a run that was stopped, and did not fail by itself. */
export const STOPS: readonly string[] = ["DEADLINE", "INTERRUPTED"];

/** One of the closed set of codes that others script against. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** The place of a failure in a migration. `index`, `line` and `column` count from 1. */
export interface StatementPlace {
  readonly index: number;
  readonly line: number;
  readonly column: number;
  /** The statement's text, shortened to at most 500 characters. */
  readonly excerpt: string;
}

/** The facts that a failure carries beside its code and its sentence. */
export interface ErrorFacts {
  readonly cause?: unknown;
  readonly migration?: string;
  readonly statement?: StatementPlace;
  readonly sqlstate?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  /** The next step of the reader, in this case. It quotes no data. */
  readonly advice?: string;
  /** A query that shows the rows in the way. It may quote data. */
  readonly query?: string;
  /** The parts of the message that quote the statements of other sessions, which may hold data. */
  readonly withheld?: readonly string[];
  /** Whether the server has not said how the last statement ended: then only the ledger knows. Default: false. */
  readonly unconfirmed?: boolean;
  /** Whether the same call may succeed later without anybody changing anything. Default: false. */
  readonly retryable?: boolean;
}

/** The one exception of this product: a code to script against, a sentence to read, facts to act on. */
export class MigratorError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = code;
    this.code = code;
    this.facts = facts;
  }
}

/**
 * Turns any thrown value into an `Error`: a string, null, or the WebSocket's `ErrorEvent`, which is no `Error` but
 * carries one.
 */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  if (typeof thrown === "object" && thrown !== null) {
    const inner = Reflect.get(thrown, "error");
    if (inner instanceof Error) return inner;
    const message = Reflect.get(thrown, "message");
    if (typeof message === "string" && message !== "") return new Error(message, { cause: thrown });
  }
  return new Error(`A value that is not an error was thrown: ${describe(thrown)}`, {
    cause: thrown,
  });
}

function describe(value: unknown): string {
  if (typeof value === "string") return value === "" ? "an empty string" : value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** A fact worth knowing that stops nothing. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}

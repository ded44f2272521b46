/** The role lacks a right. */
export const INSUFFICIENT_PRIVILEGE = "42501";

/** Another session holds the lock, and has not released it within `lock_timeout`. */
export const LOCK_NOT_AVAILABLE = "55P03";

/** The facts of an error, in the words of PostgreSQL's protocol. */
export interface PostgresFacts {
  /** In the server's language: `lc_messages`. */
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly where: string | null;
  /** Character offset, from 1, into the text that was sent; null if the server gave none. */
  readonly position: number | null;
  /** The file of the server's source that raised the error; null from a proxy, which gives none. */
  readonly file: string | null;
  /** The schema of the table; null where the error is about none. So with the next three. */
  readonly schema: string | null;
  readonly table: string | null;
  readonly column: string | null;
  readonly constraint: string | null;
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** The characters that are kept of each text: RAISE makes texts of hundreds of megabytes, which no report can hold. */
const MAX_TEXT_LENGTH = 100_000;

/**
 * Reads a PostgreSQL error, looking through `cause` where a library has wrapped it (Drizzle's `DrizzleQueryError`
 * does). Returns null for any value without a SQLSTATE.
 */
export function postgresFacts(thrown: unknown): PostgresFacts | null {
  for (let error = thrown, depth = 0; depth < 8; depth += 1) {
    if (typeof error !== "object" || error === null) return null;
    const code = Reflect.get(error, "code");
    const severity = Reflect.get(error, "severity");
    if (typeof code === "string" && SQLSTATE.test(code) && typeof severity === "string") {
      return {
        severity,
        sqlstate: code,
        message: text(error, "message") ?? "",
        detail: text(error, "detail"),
        hint: text(error, "hint"),
        where: text(error, "where"),
        position: Number(text(error, "position")) || null,
        file: text(error, "file"),
        schema: text(error, "schema"),
        table: text(error, "table"),
        column: text(error, "column"),
        constraint: text(error, "constraint"),
      };
    }
    error = Reflect.get(error, "cause");
  }
  return null;
}

function text(record: object, key: string): string | null {
  const value = Reflect.get(record, key);
  if (typeof value !== "string" || value === "") return null;
  if (value.length <= MAX_TEXT_LENGTH) return value;
  return `${value.slice(0, MAX_TEXT_LENGTH).replace(/[\ud800-\udbff]$/, "")}…`;
}

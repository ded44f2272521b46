/** The text that stands in the place of a secret. */
export const REDACTED = "[redacted]";

/** The connection string of our own messages, in which nothing is hidden. */
export const EXAMPLE_URL = "postgres://USER:PASSWORD@HOST/DATABASE";

/**
 * A connection string with a password, anywhere in a text. A password that should have been percent-encoded may hold
 * blanks and `@`. The length is bounded, so that a long text without a password takes linear time.
 */
export const URL_PASSWORD: RegExp =
  /(postgres(?:ql)?:\/{1,2}[^\s:/]*:)(?!PASSWORD@HOST\/)[^\n@]{0,4000}@(?:\S*@)?/gi;

/** The password of a connection string that was cut off before its `@`. */
export const CUT_URL_PASSWORD: RegExp =
  /(postgres(?:ql)?:\/{1,2}[^\s:/]*:)[^\s@…]{1,4000}(?=…|\.{3})/gi;

/** The other places where a password stands: a parameter, a `key=value` connection string, and SQL's own word for it. */
export const PASSWORD_PARAMETER: RegExp =
  /\b((?:pg)?password\s?=\s?|password\s+(?='))('(?:[^'\\]|\\.|''){0,4000}'|[^&\s]+)/gi;

/** Number of characters that a message quotes of a value from outside. */
const MAX_QUOTED_LENGTH = 60;

/** Quotes a value from outside for a message: short, and without the password of a connection string. */
export function quoted(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = hidePasswords(typeof value === "string" ? JSON.stringify(value) : String(value));
  return shortened(text, MAX_QUOTED_LENGTH);
}

/**
 * The characters that a terminal obeys, or that show a text in another order than it has: controls, and the characters
 * that are not seen. Line breaks and tabs are left alone.
 */
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** The command of a build server's log, which may stand anywhere in a line: `##[error]`, `##vso[…]`, `##teamcity[…]`. */
const COMMAND = /##(?=(?:vso|teamcity)?\[)/g;
/** The command of GitHub Actions, at the beginning of a line: `::error::`. */
const LINE_COMMAND = /^(\s*):(?=:)/gm;

function escapes(text: string): string {
  return text.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Makes a text from outside safe to print, for a terminal or the log of a build server. A character that either would obey
 * is shown as its escape, `\u001b` for example. Line breaks stay.
 */
export function printable(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(UNSEEN, escapes)
    .replace(COMMAND, "#\\u0023")
    .replace(LINE_COMMAND, "$1\\u003a");
}

/** The same for a text that must not begin a line of its own. */
export function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}

/** Writes a value as JSON that is safe to print, too. It reads as the same value. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSEEN, escapes).replace(COMMAND, "#\\u0023");
}

/** Returns the text, or its beginning. A character outside the basic plane is not cut in half. */
export function shortened(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, Math.max(maxLength - 1, 0)).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Replaces every text in a plain value; keys are left alone. */
export function replaceTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return replace(value);
  if (Array.isArray(value)) return value.map((each) => replaceTexts(each, replace));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, replaceTexts(each, replace)]),
  );
}

/** Replaces the passwords of the connection strings in a text. */
export function hidePasswords(text: string): string {
  return text
    .replace(URL_PASSWORD, `$1${REDACTED}@`)
    .replace(PASSWORD_PARAMETER, `$1${REDACTED}`)
    .replace(CUT_URL_PASSWORD, `$1${REDACTED}`);
}

/** Writes a number with its noun: `1 row`, `1,200 rows`. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  // The first number by a locale takes milliseconds, and most need none.
  const isShort = Number.isInteger(count) && count >= 0 && count < 1_000;
  const shown = isShort ? String(count) : count.toLocaleString("en");
  return `${shown} ${count === 1 ? noun : plural}`;
}

/** The largest time that JavaScript can write, in epoch milliseconds. A ledger may hold any number. */
const MAX_TIME = 8.64e15;

/** Writes epoch milliseconds as `2026-11-28 15:05 UTC`. */
export function minuteOf(when: number): string {
  const written = new Date(Math.max(-MAX_TIME, Math.min(when, MAX_TIME))).toISOString();
  return `${written.replace(/:\d\d\.\d+Z$/, "").replace("T", " ")} UTC`;
}

/** The text that stands in the place of a secret. */
export const REDACTED = "[redacted]";

/**
 * A connection string with a password, anywhere in a text. A password that should have been percent-encoded may hold
 * blanks and `@`. The length is bounded, so that a long text without a password takes linear time.
 */
export const URL_PASSWORD: RegExp = /(postgres(?:ql)?:\/{1,2}[^\s:/]*:)[^\n@]{0,4000}@(?:\S*@)?/gi;

/** The other place where libpq takes a password: a parameter, or a `key=value` connection string. */
export const PASSWORD_PARAMETER: RegExp = /\b(password=)[^&\s]+/gi;

/** Number of characters that a message quotes of a value from outside. */
const MAX_QUOTED_LENGTH = 60;

/** Quotes a value from outside for a message: short, and without the password of a connection string. */
export function quoted(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = hidePasswords(typeof value === "string" ? JSON.stringify(value) : String(value));
  return shortened(text, MAX_QUOTED_LENGTH);
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
  return text.replace(URL_PASSWORD, `$1${REDACTED}@`).replace(PASSWORD_PARAMETER, `$1${REDACTED}`);
}

/** Writes a number with its noun: `1 row`, `1,200 rows`. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

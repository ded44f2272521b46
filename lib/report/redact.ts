import { parseEndpoint } from "../target/endpoint.ts";

/** What stands in the place of a secret. */
const REDACTED = "[redacted]";

/**
 * A connection string with a password, wherever it stands in a text. A password that should have been
 * percent-encoded may hold blanks and `@`. Bounded, so that a long text without any takes linear time.
 */
const URL_PASSWORD = /(postgres(?:ql)?:\/{1,2}[^\s:/]*:)[^\n@]{0,4000}@(?:\S*@)?/gi;

/** The other place where libpq takes a password: a parameter, or a `key=value` connection string. */
const PASSWORD_PARAMETER = /\b(password=)[^&\s]+/gi;

/** A shorter password would tear holes into ordinary words, and is no secret. */
const SHORTEST_SECRET = 6;

/** How much of a value from outside a message quotes. */
const MAX_QUOTED_LENGTH = 60;

/**
 * Replaces secrets in every text of a plain value, keys left alone: as they are, and with any of their
 * characters percent-encoded. Connection strings lose their password whether it is known or not.
 * @param secrets texts that must not leave the process; those under 6 characters are left alone. Of a
 *   connection string the password alone is one too
 */
export function redact<Value>(value: Value, secrets: readonly string[]): Value {
  const all = new Set(secrets.flatMap((secret) => [secret, ...passwordIn(secret)]));
  const known = [...all].filter(({ length }) => length >= SHORTEST_SECRET);
  // A fresh process takes milliseconds to look for whole secrets. Mostly not even their ends are found.
  const ends = known.map((secret) => patternOf(secret.slice(-SHORTEST_SECRET)));
  const texts = textsIn(value).join("\n");
  if (![...ends, URL_PASSWORD, PASSWORD_PARAMETER].some((pattern) => texts.search(pattern) >= 0))
    return value;
  const patterns = known.map(patternOf);
  // The value that comes back has the shape of the one that went in: only texts inside are replaced.
  return replaceTexts(value, (text) => {
    const hidden = patterns.reduce((shorter, secret) => shorter.replace(secret, REDACTED), text);
    return hidden
      .replace(URL_PASSWORD, `$1${REDACTED}@`)
      .replace(PASSWORD_PARAMETER, `$1${REDACTED}`);
  }) as Value;
}

/** A value from outside as a message may quote it: short, and without the password of a connection string. */
export function quoted(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = redact(typeof value === "string" ? JSON.stringify(value) : String(value), []);
  return shortened(text, MAX_QUOTED_LENGTH);
}

/** The text, or its beginning; a character outside the basic plane is not cut in half. */
export function shortened(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, Math.max(maxLength - 1, 0)).replace(/[\ud800-\udbff]$/, "")}…`;
}

function passwordIn(secret: string): readonly string[] {
  try {
    return [parseEndpoint(secret).password ?? ""];
  } catch {
    return [];
  }
}

/** Finds a secret in the forms in which URLs and forms carry it; their authors differ in what they encode. */
function patternOf(secret: string): RegExp {
  return new RegExp(Array.from(secret, formsOf).join(""), "g");
}

function formsOf(character: string): string {
  const encoded = Array.from(Buffer.from(character), (byte) => {
    const digits = byte.toString(16).padStart(2, "0");
    return `%${digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)}`;
  });
  const raw = character.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
  return `(?:${encoded.join("")}|${raw}${character === " " ? "|\\+" : ""})`;
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** A plain value with every text in it replaced, keys left alone. */
export function replaceTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return replace(value);
  if (Array.isArray(value)) return value.map((each) => replaceTexts(each, replace));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, replaceTexts(each, replace)]),
  );
}

/** What stands in the place of a secret. */
export const REDACTED = "[redacted]";

/** A connection string with a password, wherever it stands in a text. */
const URL_PASSWORD = /(postgres(?:ql)?:\/\/[^\s:@/]*:)\S*@/gi;

/** A shorter password would tear holes into ordinary words, and is no secret. */
const SHORTEST_SECRET = 6;

/**
 * Replaces secrets in every text of a plain value, keys left alone. Connection strings lose their
 * password whether it is known or not.
 * @param secrets texts that must not leave the process; those under 6 characters are left alone
 */
export function redact<Value>(value: Value, secrets: readonly string[]): Value {
  const known = secrets.filter(({ length }) => length >= SHORTEST_SECRET);
  // The value that comes back has the shape of the one that went in: only texts inside are replaced.
  return replaceTexts(value, (text) => {
    const hidden = known.reduce((shorter, secret) => shorter.replaceAll(secret, REDACTED), text);
    return hidden.replace(URL_PASSWORD, `$1${REDACTED}@`);
  }) as Value;
}

function replaceTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return replace(value);
  if (Array.isArray(value)) return value.map((each) => replaceTexts(each, replace));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, replaceTexts(each, replace)]),
  );
}

import { parseEndpoint } from "../target/endpoint.ts";
import {
  hidePasswords,
  PASSWORD_PARAMETER,
  REDACTED,
  replaceTexts,
  URL_PASSWORD,
} from "../text.ts";

/** A shorter password would tear holes into ordinary words, and is no secret. */
const SHORTEST_SECRET = 6;

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
    return hidePasswords(hidden);
  }) as Value;
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

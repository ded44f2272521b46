import { parseEndpoint } from "../target/endpoint.ts";
import {
  CUT_URL_PASSWORD,
  hidePasswords,
  PASSWORD_PARAMETER,
  REDACTED,
  replaceTexts,
  URL_PASSWORD,
} from "../text.ts";

/** Fewest characters of a secret. A shorter password would tear holes into ordinary words. */
const SHORTEST_SECRET = 6;

/**
 * A password that is a word, such as `drizzle`, or a few (`neon_owner`). It is hidden only where it stands as a password:
 * reports are full of words, and `__[redacted]_migrations` would tell it.
 */
const WORD = /^(?=.{0,12}$)[A-Za-z]?[a-z]+(?:[_-][a-z]+)*$|^(?=.{0,12}$)[A-Z]+(?:[_-][A-Z]+)*$/;

/**
 * Replaces secrets in every text of a plain value; keys are left alone. A secret is found as it is, and with any of
 * its characters percent-encoded, also where the text was cut in the middle of it. Connection strings lose their password whether it is known or not.
 * @param secrets texts that must not leave the process. Those under 6 characters are left alone. The password of a
 *   connection string counts as a secret of its own, unless it is a word
 */
export function redact<Value>(value: Value, secrets: readonly string[]): Value {
  const all = new Set(secrets.flatMap((secret) => [secret, ...passwordIn(secret)]));
  const known = [...all].filter(({ length }) => length >= SHORTEST_SECRET);
  const texts = textsIn(value).join("\n");
  // Most texts are whole, and in those no beginning of a secret is looked for.
  const cut = CUT.test(texts) ? known.map(cutPatternOf) : [];
  // A fresh process takes milliseconds for the pattern of a whole secret. Mostly the texts hold not even the end of it.
  const mayHold = (secret: string) =>
    texts.includes("%") || secret.includes(" ")
      ? patternOf(Array.from(secret).slice(-SHORTEST_SECRET).join("")).test(texts)
      : texts.includes(secret);
  const signs = [...cut, URL_PASSWORD, PASSWORD_PARAMETER, CUT_URL_PASSWORD];
  const inPlaces = signs.some((pattern) => texts.search(pattern) >= 0);
  if (!inPlaces && !known.some(mayHold)) return value;
  const patterns = [...known.map(patternOf), ...cut];
  // The result has the shape of the value: only texts inside are replaced.
  return replaceTexts(value, (text) => {
    const hidden = patterns.reduce((shorter, secret) => shorter.replace(secret, REDACTED), text);
    return hidePasswords(hidden);
  }) as Value;
}

function passwordIn(secret: string): readonly string[] {
  try {
    const { password } = parseEndpoint(secret);
    return password === null || WORD.test(password) ? [] : [password];
  } catch {
    return [];
  }
}

/**
 * Makes the pattern of a secret in all its encodings. The authors of URLs and forms differ in the characters that
 * they encode.
 */
function patternOf(secret: string): RegExp {
  return new RegExp(Array.from(secret, formsOf).join(""), "g");
}

/** The marks at the end of a text that was cut: by us, by PostgreSQL. */
const CUT = /…|\.{3}/;

/** Fewest characters of a secret before the cut. Fewer are the beginning of many a word. */
const SHORTEST_HEAD = 3;

/** So many characters of a secret are compared one by one. V8 cannot compile a pattern that nests much deeper. */
const LONGEST_HEAD = 32;

/** Makes the pattern of a secret whose end was cut off, perhaps within a character that is percent-encoded. */
function cutPatternOf(secret: string): RegExp {
  const forms = Array.from(secret, formsOf).slice(0, LONGEST_HEAD);
  const rest = forms
    .splice(SHORTEST_HEAD)
    .reduceRight((inner, form) => `(?:${form}${inner})?`, "\\S{0,2000}");
  return new RegExp(`${forms.join("")}${rest}(?:%[\\dA-Fa-f%]{0,11})?(?=${CUT.source})`, "g");
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

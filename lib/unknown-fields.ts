import { MigratorError } from "./errors.ts";
import { plainKey, REQUEST_KEYS, requestKey } from "./request.ts";
import { quoted } from "./text.ts";

/** Words by which people ask for a run that changes nothing. */
const ONLY_LOOKS = /dry|preview|simulat|pretend|noop|whatif|checkonly|readonly/;

/** Most letters in which a mistyped name differs from the right one. */
const MAX_TYPOS = 2;
/** Longest name that is compared letter by letter. */
const MAX_LENGTH = 40;

/**
 * Refuses a field that is none of a request: left alone, `dryRun` or `acton` would apply what is pending.
 * @param known the names of other fields that belong there
 * @throws MigratorError `REQUEST_INVALID`, which names the field, and the field of ours that comes nearest
 */
export function refuseUnknown(fields: object, known: readonly string[] = []): void {
  const name = Object.keys(fields).find(
    (each) => requestKey(each) === undefined && !known.includes(each),
  );
  if (name !== undefined) throw unknownField(name);
}

/** Refuses only a field that looks like one of ours: where others add fields of their own. @throws as `refuseUnknown` */
export function refuseMistyped(fields: object, known: readonly string[] = []): void {
  const name = Object.keys(fields).find(
    (each) => !known.includes(each) && meantBy(each) !== undefined,
  );
  if (name !== undefined) throw unknownField(name);
}

function unknownField(name: string): MigratorError {
  const key = meantBy(name);
  const looks = ONLY_LOOKS.test(plainKey(name));
  const meant = key === undefined ? "" : ` Did you mean ${key}?`;
  const advice = looks
    ? ` To change nothing, send {"action":"plan"}, or over HTTP GET /migrations/plan.`
    : ` Its fields are ${REQUEST_KEYS.join(", ")}.`;
  return new MigratorError(
    "REQUEST_INVALID",
    `The request has ${quoted(name)}, which is no field of a request; nothing was run.${meant}${advice}`,
  );
}

/** Returns the field of ours that a name means in all likelihood; undefined for a field of ours, and a name far from all. */
export function meantBy(name: string): string | undefined {
  if (requestKey(name) !== undefined) return undefined;
  const plain = plainKey(name).slice(0, MAX_LENGTH);
  if (ONLY_LOOKS.test(plain)) return "action";
  const near = REQUEST_KEYS.map((key) => ({ key, typos: typosBetween(plain, plainKey(key)) }));
  return near.toSorted((a, b) => a.typos - b.typos).find(({ typos }) => typos <= MAX_TYPOS)?.key;
}

/** The number of letters to add, to take away or to change: the distance of Levenshtein. */
function typosBetween(one: string, other: string): number {
  let row: readonly number[] = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [done, letter] of Array.from(one).entries()) {
    const next = [done + 1];
    for (const [index, wanted] of Array.from(other).entries()) {
      const changed = (row[index] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(changed, (row[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

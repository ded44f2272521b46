import { createHash } from "node:crypto";
import { MigratorError } from "../errors.ts";
import { type AllowedPlace, assertAllowed } from "../target/allowed.ts";
import { type TargetReference, tryTargetReference } from "../target-reference.ts";
import { quoted } from "../text.ts";
import { fleetInvalid } from "./read-request.ts";

/** One entry of a list of targets, as it was found. */
export interface Listed {
  readonly value: unknown;
  /** The place in the list, such as `line 7 of s3://fleet/lists/all.jsonl`. */
  readonly where: string;
  /** A text that changes where the database is made anew under the same name. */
  readonly stamp?: string;
}

/** One tenant of a list that was checked. */
export interface Tenant {
  readonly reference: TargetReference;
  /** Changes with the place of its connection string. It shows nothing of it. */
  readonly fingerprint: string;
}

/**
 * Checks a list: each entry is a target that is allowed, no two have the same id or one that differs in case or composition
 * only, and no two are the same database.
 * @throws MigratorError `FLEET_INVALID`, `TARGET_DENIED`; they name the entry, and nothing of a connection string
 */
export function checkTargets(
  list: readonly Listed[],
  allowed: readonly AllowedPlace[],
): readonly Tenant[] {
  const ids: Seen = new Map();
  const places: Seen = new Map();
  return list.map(({ value, where, stamp }) => {
    const reference = readListed(value, where);
    const { id } = reference;
    refuseTwice(ids, foldedId(id), { id, where }, "has the id of");
    assertListed(reference, allowed, where);
    const place = placeText(reference);
    refuseTwice(places, place, { id, where }, "is the same database as");
    return { reference, fingerprint: fingerprintOf(place, stamp) };
  });
}

/** An id without the differences that people overlook: case, and how a letter with an accent is composed. */
export function foldedId(id: string): string {
  // Over the capitals: a small sigma has two forms, and ß is SS.
  return id.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}

function readListed(value: unknown, where: string): TargetReference {
  const read = tryTargetReference(value);
  if ("reference" in read) return read.reference;
  throw fleetInvalid(`${capital(where)} ${read.mistake}.`);
}

function assertListed(
  reference: TargetReference,
  allowed: readonly AllowedPlace[],
  where: string,
): void {
  try {
    assertAllowed(reference, allowed);
  } catch (thrown) {
    if (!(thrown instanceof MigratorError)) throw thrown;
    throw new MigratorError(thrown.code, `${capital(where)}: ${thrown.message}`);
  }
}

/** The first entry with each key. */
type Seen = Map<string, { readonly id: string; readonly where: string }>;

function refuseTwice(
  seen: Seen,
  key: string,
  entry: { readonly id: string; readonly where: string },
  words: string,
): void {
  const before = seen.get(key);
  if (before === undefined) {
    seen.set(key, entry);
    return;
  }
  throw fleetInvalid(
    `${capital(entry.where)}, ${quoted(entry.id)}, ${words} ${before.where}, ${quoted(before.id)}.`,
  );
}

/** Writes a place in one way, whatever the order of its fields was. */
function placeText({ id: _, ...place }: TargetReference): string {
  const sorted = (value: unknown): unknown =>
    typeof value === "object" && value !== null
      ? Object.entries(value)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, each]) => [name, sorted(each)])
      : value;
  return JSON.stringify(sorted(place));
}

function fingerprintOf(place: string, stamp = ""): string {
  return createHash("sha256").update(`${place}\n${stamp}`).digest("hex").slice(0, 16);
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

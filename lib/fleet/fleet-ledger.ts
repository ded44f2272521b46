import { parseJson } from "../json.ts";
import type { ObjectStore, StoredText } from "./object-store.ts";

/** What the fleet's ledger knows of one tenant: a hint, and never the truth. That is in the tenant's own ledger. */
export interface LedgerEntry {
  readonly id: string;
  /** The bundle with which it was up to date; null for one that is not known as up to date, or that left its list. */
  readonly hash: string | null;
  /** Tag of its newest migration; null for a bundle without any, and where nothing is known. */
  readonly latest: string | null;
  /** The beginning of the run that found this out, in UTC. No run that began before it changes the entry. */
  readonly at: string;
  /** The beginning of the newest run that had the tenant in its list, in UTC. */
  readonly listed: string;
  /** See `sourceNameOf`. */
  readonly source: string;
  /** See `Tenant`; empty where nothing is known. */
  readonly fingerprint: string;
}

/** The fleet's ledger, by the tenants' ids. */
export type FleetLedger = ReadonlyMap<string, LedgerEntry>;

/** What one run has found out. */
export interface LedgerChanges {
  /** Its beginning, in UTC. */
  readonly startedAt: string;
  readonly source: string;
  /** Its tenants that are up to date now. */
  readonly current: readonly Pick<LedgerEntry, "id" | "hash" | "latest" | "fingerprint">[];
  /** The ids of those of which that is not known. */
  readonly doubtful: readonly string[];
  /** The ids of all in its list. */
  readonly listed: ReadonlySet<string>;
  /** Whether its list is all that its source has. Then those that are not in it have left. */
  readonly isWhole: boolean;
}

/** The key of the ledger in the fleet's bucket. */
export const LEDGER_KEY = "ledger.jsonl";

const MAX_ATTEMPTS = 5;
/** For how long an entry stays that no list has any more. What a run has left in the bucket goes behind the same time. */
const KEPT_MS = 30 * 24 * 3_600_000;

/** Reads the text of a ledger. One that is missing or damaged is an empty one: then everybody is asked. */
export function parseFleetLedger(text: string | null): FleetLedger {
  const entries = (text ?? "").split("\n").filter(Boolean).map(parseJson);
  return entries.every(isEntry) ? new Map(entries.map((each) => [each.id, each])) : new Map();
}

/**
 * Writes the changes of a run into the ledger. Of two runs that write at once, the second reads what the first has written.
 * Where that does not help, the ledger stays as it is: it is a hint, and the next run asks those that it does not know.
 * @returns false where others were faster each time
 */
export async function advanceLedger(store: ObjectStore, changes: LedgerChanges): Promise<boolean> {
  for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts += 1) {
    const before: StoredText | null = await store.read(LEDGER_KEY);
    const after = withChanges(parseFleetLedger(before?.text ?? null), changes);
    if (after === (before?.text ?? "")) return true;
    if (await store.replace(LEDGER_KEY, after, before)) return true;
  }
  return false;
}

/** Makes the text of a ledger with the changes in it. What a run has found out that began later stays. */
function withChanges(ledger: FleetLedger, changes: LedgerChanges): string {
  const { startedAt, source, listed } = changes;
  const found = new Map(foundIn(changes).map((each) => [each.id, each]));
  const names = new Set([...ledger.keys(), ...found.keys()]);
  const entries = [...names].toSorted().flatMap((id) => {
    const known = ledger.get(id);
    const entry = newer(known, found.get(id)) ?? known;
    if (entry === undefined) return [];
    const isNewest = entry.listed <= startedAt;
    if (listed.has(id)) return isNewest ? { ...entry, listed: startedAt, source } : entry;
    if (isForgotten(entry, startedAt)) return [];
    return hasLeft(entry, changes) ? nothingKnown(id, changes) : entry;
  });
  return entries.map((each) => `${JSON.stringify(each)}\n`).join("");
}

function foundIn(changes: LedgerChanges): readonly LedgerEntry[] {
  const { startedAt, source, current, doubtful } = changes;
  return [
    ...doubtful.map((id) => nothingKnown(id, changes)),
    ...current.map((each) => ({ ...each, at: startedAt, listed: startedAt, source })),
  ];
}

/** Returns what was found, unless a run that began later has found something else. */
function newer(known: LedgerEntry | undefined, found: LedgerEntry | undefined) {
  if (known === undefined || found === undefined) return found;
  if (known.at > found.at) return undefined;
  return known.listed > found.listed
    ? { ...found, listed: known.listed, source: known.source }
    : found;
}

/** Such an entry keeps the late report of an older run from bringing back what is not so any more. */
function nothingKnown(id: string, { startedAt, source }: LedgerChanges): LedgerEntry {
  const nothing = { hash: null, latest: null, fingerprint: "" };
  return { id, ...nothing, at: startedAt, listed: startedAt, source };
}

function hasLeft(entry: LedgerEntry, { isWhole, source, startedAt }: LedgerChanges): boolean {
  return isWhole && entry.hash !== null && entry.source === source && entry.listed <= startedAt;
}

function isForgotten({ listed }: LedgerEntry, now: string): boolean {
  return Date.parse(listed) < Date.parse(now) - KEPT_MS;
}

function isEntry(value: unknown): value is LedgerEntry {
  const { id, hash, latest, at, listed, source, fingerprint } = Object(value);
  const isText = [id, at, listed, source, fingerprint].every((each) => typeof each === "string");
  return isText && [hash, latest].every((each) => each === null || typeof each === "string");
}

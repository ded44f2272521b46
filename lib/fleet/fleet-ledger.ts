import { parseJson } from "../json.ts";
import type { ObjectStore, StoredText } from "./object-store.ts";

/** What the fleet's ledger knows of one tenant: a hint, and never the truth. That is in the tenant's own ledger. */
export interface LedgerEntry {
  readonly id: string;
  /** The bundle with which it was up to date. */
  readonly hash: string;
  /** Tag of its newest migration; null for a bundle without any. */
  readonly latest: string | null;
  /** In UTC. */
  readonly at: string;
  /** See `Tenant`. */
  readonly fingerprint: string;
}

/** The fleet's ledger, by the tenants' ids. */
export type FleetLedger = ReadonlyMap<string, LedgerEntry>;

/** The changes of one run: its tenants that are up to date now, and the ids of those of which that is not known. */
export interface LedgerChanges {
  readonly current: readonly LedgerEntry[];
  readonly doubtful: readonly string[];
}

/** The key of the ledger in the fleet's bucket. */
export const LEDGER_KEY = "ledger.jsonl";

const MAX_ATTEMPTS = 5;

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
  if (changes.current.length === 0 && changes.doubtful.length === 0) return true;
  for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts += 1) {
    const before: StoredText | null = await store.read(LEDGER_KEY);
    const after = withChanges(parseFleetLedger(before?.text ?? null), changes);
    if (await store.replace(LEDGER_KEY, after, before)) return true;
  }
  return false;
}

/** Makes the text of a ledger with the changes in it. What another run has found out later stays. */
function withChanges(ledger: FleetLedger, { current, doubtful }: LedgerChanges): string {
  const all = new Map(ledger);
  for (const id of doubtful) all.delete(id);
  for (const entry of current) {
    const known = ledger.get(entry.id);
    if (known === undefined || known.at <= entry.at) all.set(entry.id, entry);
  }
  const ids = [...all.keys()].toSorted();
  return ids.map((id) => `${JSON.stringify(all.get(id))}\n`).join("");
}

function isEntry(value: unknown): value is LedgerEntry {
  const { id, hash, latest, at, fingerprint } = Object(value);
  const isText = [id, hash, at, fingerprint].every((each) => typeof each === "string");
  return isText && (latest === null || typeof latest === "string");
}

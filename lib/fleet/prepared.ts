import { parseJson } from "../json.ts";
import type { FleetPlan } from "./fleet-plan.ts";
import type { ObjectStore } from "./object-store.ts";

/** What `prepare` writes down for the report beside the plan. */
export interface Prepared {
  readonly plan: FleetPlan;
  /** In UTC. */
  readonly startedAt: string;
  /** See `sourceNameOf`. */
  readonly source: string;
  /** Whether the list is all that its source has. */
  readonly isWhole: boolean;
  /** Tag of the newest migration of the bundle; null for a bundle without any. */
  readonly latest: string | null;
  /** Those that were left out: their ids. They have the newest migration, as far as the ledger knows. */
  readonly skipped: readonly string[];
  /** The fingerprints of those that are due, by id. */
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** Returns the folder of a run in the bucket. */
export function prefixOf(run: string): string {
  return `runs/${run}`;
}

/** Writes down what was prepared. */
export async function writePrepared(store: ObjectStore, prepared: Prepared): Promise<void> {
  await store.write(keyOf(prepared.plan.run), JSON.stringify(prepared));
}

/** Reads what was prepared for a run; null where nothing was. */
export async function readPrepared(store: ObjectStore, run: string): Promise<Prepared | null> {
  const found = await store.read(keyOf(run));
  // We wrote it ourselves, and nobody else may.
  return found === null ? null : ((parseJson(found.text) ?? null) as Prepared | null);
}

function keyOf(run: string): string {
  return `${prefixOf(run)}/prepared.json`;
}

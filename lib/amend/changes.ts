import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Checkpoint } from "../ledger/checkpoints.ts";
import type { FoundLedger, Ledger, LedgerFacts, LedgerRow } from "../ledger/ledger.ts";
import type { Matching } from "../plan/match.ts";
import type { LedgerPlace } from "../target/target.ts";

/** The correction of a ledger that somebody asks for. */
export type AmendmentRequest =
  | {
      readonly kind: "baseline";
      readonly to: string;
      /** Tables that were dropped by other means than a migration, as `name` or `schema.name`. */
      readonly gone?: readonly string[];
    }
  | { readonly kind: "accept"; readonly tag: string }
  | { readonly kind: "resolve"; readonly tag: string; readonly as: "done" | "undone" }
  | { readonly kind: "merge-ledgers" };

/** One change to a ledger, for a person to look at before it is made. */
export interface Change {
  /** Tag of its migration; null for a change that belongs to no migration of the folder. */
  readonly migration: string | null;
  /** Its description, in one line. */
  readonly summary: string;
  readonly sendings: readonly Sending[];
  /** The tables that it writes, first that of its ledger, or of the checkpoints beside it. */
  readonly tables: readonly LedgerPlace[];
  /** Whether its ledger, as it was read since, has the change. */
  stands(now: Content): boolean;
}

/** The content of a ledger. */
export type Content = Pick<FoundLedger, "rows" | "checkpoints">;

/** Whether a ledger has the row of a migration. */
export function hasRow(
  { rows }: Content,
  { hash, when }: Pick<LedgerRow, "hash" | "when">,
): boolean {
  return rows.some((each) => each.hash === hash && each.when === when);
}

/** Whether a ledger has a checkpoint exactly as it was written. */
export function hasCheckpoint({ checkpoints }: Content, wanted: Checkpoint): boolean {
  const { tag, done, running, digests } = wanted;
  return checkpoints.some(
    (each) =>
      each.tag === tag &&
      each.done === done &&
      each.running === running &&
      each.digests === digests,
  );
}

/** Whether a ledger has no checkpoint under any of these tags. */
export function hasNoCheckpoint({ checkpoints }: Content, ...tags: readonly string[]): boolean {
  return !checkpoints.some(({ tag }) => tags.includes(tag));
}

/** Returns the changes that the ledgers do not have, as they were read since. */
export function missingChanges(
  changes: readonly Change[],
  found: readonly FoundLedger[],
): readonly Change[] {
  return changes.filter(({ tables: [table], stands }) => {
    const now = found.find(({ home }) => home.schema === table?.schema);
    return !stands(now ?? { rows: [], checkpoints: [] });
  });
}

/** All changes that would be written, in order. */
export interface Proposal {
  /** Empty when there is nothing to correct. */
  readonly changes: readonly Change[];
  /** The ledger that counts once the changes are written. */
  readonly ledger: LedgerFacts;
  readonly warnings: readonly Warning[];
  /** The tables of a baseline that the database has, compared by their names alone. Absent where nothing was compared. */
  readonly foundTables?: readonly string[];
}

/** The ledger of a database, matched with the bundle. */
export interface Here {
  readonly ledger: Ledger;
  readonly role: string;
  readonly matching: Matching;
}

/**
 * Returns the migrations up to and including one of them.
 * @throws MigratorError `REQUEST_INVALID` for a tag that no migration bears
 */
export function upTo(bundle: Bundle, tag: string): readonly Migration[] {
  const last = find(bundle, tag);
  return bundle.migrations.slice(0, bundle.migrations.indexOf(last) + 1);
}

/**
 * Finds a migration by its tag.
 * @throws MigratorError `REQUEST_INVALID` for a tag that no migration bears
 */
export function find({ migrations }: Bundle, tag: string): Migration {
  const migration = migrations.find((each) => each.tag === tag);
  if (migration !== undefined) return migration;
  const last = migrations.slice(-5).map((each) => each.tag);
  throw new MigratorError(
    "REQUEST_INVALID",
    `The folder has no migration ${JSON.stringify(tag)}. ${last.length === 0 ? "It has none at all." : `Its last ones are ${last.join(", ")}.`}`,
  );
}

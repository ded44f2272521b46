import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Ledger, LedgerFacts } from "../ledger/ledger.ts";
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
  /** The tables that it writes. */
  readonly tables: readonly LedgerPlace[];
}

/** All changes that would be written, in order. */
export interface Proposal {
  /** Empty when there is nothing to correct. */
  readonly changes: readonly Change[];
  /** The ledger that counts once the changes are written. */
  readonly ledger: LedgerFacts;
  readonly warnings: readonly Warning[];
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

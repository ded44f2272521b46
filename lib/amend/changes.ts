import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Ledger, LedgerFacts } from "../ledger/ledger.ts";
import type { Matching } from "../plan/match.ts";
import type { LedgerPlace } from "../target/target.ts";

/** What somebody asks to have put right in a ledger. */
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
  /** Tag of the migration that it is about; null where it is about none of the folder. */
  readonly migration: string | null;
  /** What it does, in one line. */
  readonly summary: string;
  readonly sendings: readonly Sending[];
  /** The tables that it writes. */
  readonly tables: readonly LedgerPlace[];
}

/** Everything that would be written, in order. */
export interface Proposal {
  /** Empty where everything is as it should be. */
  readonly changes: readonly Change[];
  /** The ledger that counts once this is written. */
  readonly ledger: LedgerFacts;
  readonly warnings: readonly Warning[];
}

/** The ledger, and what it says about the bundle. */
export interface Here {
  readonly ledger: Ledger;
  readonly role: string;
  readonly matching: Matching;
}

/**
 * The migrations up to and including one of them.
 * @throws MigratorError `REQUEST_INVALID` where there is none of that tag
 */
export function upTo(bundle: Bundle, tag: string): readonly Migration[] {
  const last = find(bundle, tag);
  return bundle.migrations.slice(0, bundle.migrations.indexOf(last) + 1);
}

export function find({ migrations }: Bundle, tag: string): Migration {
  const migration = migrations.find((each) => each.tag === tag);
  if (migration !== undefined) return migration;
  const last = migrations.slice(-5).map((each) => each.tag);
  throw new MigratorError(
    "REQUEST_INVALID",
    `The folder has no migration ${JSON.stringify(tag)}. ${last.length === 0 ? "It has none at all." : `Its last ones are ${last.join(", ")}.`}`,
  );
}

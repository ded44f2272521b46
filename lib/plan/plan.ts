import type { Migration } from "../bundle/bundle.ts";
import type { Separation, Step } from "../bundle/steps.ts";
import type { MigratorError, Warning } from "../errors.ts";
import type { Checkpoint } from "../ledger/checkpoints.ts";

/** Where bundle and ledger disagree. */
export interface Drift {
  /** Files that were changed after they were applied. */
  readonly modified: readonly {
    readonly tag: string;
    readonly ledgerHash: string;
    readonly bundleHash: string;
  }[];
  /** Ledger rows that no migration of the bundle matches: the database is ahead. */
  readonly unknown: readonly {
    readonly hash: string;
    readonly when: number | null;
    readonly name: string | null;
  }[];
  /** Pending migrations that are older than the newest ledger row. */
  readonly outOfOrder: readonly {
    readonly tag: string;
    readonly hash: string;
    readonly when: number;
  }[];
}

/** What would be done, as data: it can be printed, compared and tested without a database. */
export interface Plan {
  readonly applied: readonly Migration[];
  /** In the order in which they will be applied. */
  readonly pending: readonly PlannedMigration[];
  /** What is done one after the other. */
  readonly steps: readonly Step[];
  /** Whether everything that is pending shares one transaction. */
  readonly atomic: boolean;
  /** Null when nothing is pending. */
  readonly executor: "drizzle" | "statements" | null;
  /** Why Drizzle's own migrator is not used; null when it is. */
  readonly executorReason: ExecutorReason | null;
  readonly drift: Drift;
  readonly warnings: readonly Warning[];
  /** What the request's policies forbid; null when the plan may be carried out. */
  readonly refusal: MigratorError | null;
}

/** A pending migration, and why Drizzle's own migrator would pass it over. */
export interface PlannedMigration {
  readonly migration: Migration;
  readonly reasons: readonly ExecutorReason[];
  /** How far an earlier run came with it; null where none did. */
  readonly checkpoint: Checkpoint | null;
}

/** Why our own executor is taken. */
export type ExecutorReason =
  | "schema-creation-blocked"
  | "out-of-order"
  | "behind-watermark"
  | "named-ledger"
  | "half-applied"
  | Separation
  | "requested";

import type { Migration } from "../bundle/bundle.ts";
import type { Cut, Separation, Step } from "../bundle/steps.ts";
import type { MigratorError, Warning } from "../errors.ts";
import type { Checkpoint } from "../ledger/checkpoints.ts";

/** The disagreements between bundle and ledger. */
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
    /** As in `AppliedMigration`. */
    readonly appliedAt?: string | null;
  }[];
  /** Pending migrations that are older than the newest ledger row. */
  readonly outOfOrder: readonly {
    readonly tag: string;
    readonly hash: string;
    readonly when: number;
  }[];
}

/** The work of a run, as data: it can be printed, compared and tested without a database. */
export interface Plan {
  readonly applied: readonly Migration[];
  /** Tag of the last one of these; null without any. */
  readonly latest: string | null;
  /** In the order in which they will be applied. */
  readonly pending: readonly PlannedMigration[];
  /** The steps, in the order in which they are applied. */
  readonly steps: readonly Step[];
  /** The places where a statement forces one transaction to end. */
  readonly cuts: readonly Cut[];
  /** Whether all pending migrations share one transaction. */
  readonly atomic: boolean;
  /** Null when nothing is pending. */
  readonly executor: "drizzle" | "statements" | null;
  /** Reason for not taking Drizzle's own migrator; null when it is taken, or when nothing is pending. */
  readonly executorReason: ExecutorReason | null;
  readonly drift: Drift;
  readonly warnings: readonly Warning[];
  /** The error of the policy that forbids the plan; null when the plan may be carried out. */
  readonly refusal: MigratorError | null;
}

/** A pending migration, with the reasons why Drizzle's own migrator cannot apply it. */
export interface PlannedMigration {
  readonly migration: Migration;
  readonly reasons: readonly ExecutorReason[];
  /** The progress of an earlier run with it; null when no run has begun it. */
  readonly checkpoint: Checkpoint | null;
}

/** The reason for taking our own executor. */
export type ExecutorReason =
  | "schema-creation-blocked"
  | "out-of-order"
  | "behind-watermark"
  | "named-ledger"
  | "half-applied"
  | Separation
  | "requested";

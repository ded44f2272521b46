import { countStatements, type Migration } from "../bundle/bundle.ts";
import type { Step } from "../bundle/steps.ts";
import type { Connection } from "../connection/connection.ts";
import type { Warning } from "../errors.ts";
import type { HistoryOptions } from "../history/keeper.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { LedgerPlace } from "../target/target.ts";
import type { Lockouts } from "./lockouts.ts";
import type { MigrationTimes } from "./run-times.ts";

/** One of the two ways to apply migrations. Both leave the same database and the same ledger rows. */
export interface Executor {
  readonly name: "drizzle" | "statements";
  /**
   * Applies one step, with the ledger rows of the migrations that it completes. Resolves once the step is committed.
   * @throws MigratorError `MIGRATION_FAILED`, or a code that names another cause. Then nothing of the step stays,
   *   except what a statement leaves that no transaction can hold
   * @throws BootstrapRefused when this executor may not prepare the ledger; no statement of a migration was sent yet
   */
  apply(step: Step): Promise<AppliedStep>;
  /**
   * Writes the record of the last step, where that was to travel with the next one. Absent where a step always holds
   * its own record.
   */
  settle?(): Promise<AppliedStep>;
  /** Returns the place of a ledger whose table of checkpoints is empty; null where there is none, or rows are in it. */
  withoutCheckpoints?(): LedgerPlace | null;
}

/** The needs of an executor. */
export interface Executing {
  readonly connection: Connection;
  readonly ledger: Ledger;
  /** Longest wait of a statement for a lock, in ms, where no directive says otherwise. */
  readonly lockTimeoutMs: number;
  readonly history: HistoryOptions;
  readonly lockouts: Lockouts;
}

/** The outcome of one step. */
export interface AppliedStep {
  /** The migrations that it completed. */
  readonly applied: readonly AppliedMigration[];
  /** The ledger that holds their rows. */
  readonly place: LedgerPlace;
  /** Warnings of leftovers that it found and put in order. */
  readonly warnings: readonly Warning[];
}

/**
 * PostgreSQL refused (42501) the CREATE SCHEMA or CREATE TABLE that Drizzle's migrator sends before its transaction,
 * even where both exist. Only this error makes a run take the other executor.
 */
export class BootstrapRefused extends Error {
  constructor(cause: unknown) {
    super("The role may not run the bookkeeping statements of Drizzle's migrator.", { cause });
    this.name = "BootstrapRefused";
  }
}

/** A migration with a ledger row. */
export interface AppliedMigration extends MigrationTimes {
  readonly tag: string;
  readonly hash: string;
  readonly when: number;
  /** Number of its statements. */
  readonly statements: number;
  /** Time that the run took for it; null where neither this run nor the history knows it. */
  readonly durationMs: number | null;
  /** When it was applied, in UTC, as ISO 8601: in the answer to `status`; null where neither ledger nor history know it. */
  readonly appliedAt?: string | null;
  /** Who applied it, in words: in the answer to `status`; null where no history knows it. So is `requestId`. */
  readonly appliedBy?: string | null;
  /** The request id of the run that applied it. */
  readonly requestId?: string | null;
}

/** Describes an applied migration, as a report does. */
export function describeApplied(migration: Migration, durationMs: number | null): AppliedMigration {
  const { tag, hash, when } = migration;
  return { tag, hash, when, statements: countStatements(migration), durationMs };
}

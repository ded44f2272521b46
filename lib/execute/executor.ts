import type { Migration } from "../bundle/bundle.ts";
import type { Step } from "../bundle/steps.ts";
import type { Warning } from "../errors.ts";
import type { LedgerPlace } from "../target/target.ts";

/** One of the two ways to apply migrations. Both leave the same database and the same ledger rows. */
export interface Executor {
  readonly name: "drizzle" | "statements";
  /**
   * Does one step, the ledger rows of what it completes included. Resolves once that is committed.
   * @throws MigratorError `MIGRATION_FAILED` and whatever else says what it was; then nothing of the step is
   *   left behind, except what a statement leaves that no transaction can hold
   * @throws BootstrapRefused where this executor may not prepare the ledger; nothing was sent yet
   */
  apply(step: Step): Promise<AppliedStep>;
}

/** What one step has done. */
export interface AppliedStep {
  /** The migrations that are complete with it. */
  readonly applied: readonly AppliedMigration[];
  /** Where the ledger rows go. */
  readonly place: LedgerPlace;
  /** What it found and put in order on the way. */
  readonly warnings: readonly Warning[];
}

/**
 * PostgreSQL refused (42501) what Drizzle's migrator does before its transaction: CREATE SCHEMA and
 * CREATE TABLE, which it sends even where both exist. The one reason to take the other executor.
 */
export class BootstrapRefused extends Error {
  constructor(cause: unknown) {
    super("The role may not run the bookkeeping statements of Drizzle's migrator.", { cause });
    this.name = "BootstrapRefused";
  }
}

/** A migration with a ledger row. */
export interface AppliedMigration {
  readonly tag: string;
  readonly hash: string;
  readonly when: number;
  /** How many statements it has. */
  readonly statements: number;
  /** How long this run took for it; null when another run applied it. */
  readonly durationMs: number | null;
}

/** What a report says of a migration that is applied. */
export function describeApplied(migration: Migration, durationMs: number | null): AppliedMigration {
  const { tag, hash, when, statements } = migration;
  return { tag, hash, when, statements: statements.length, durationMs };
}

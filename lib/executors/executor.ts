import type { Migration } from "../bundle.ts";
import type { LedgerPlace } from "../config.ts";
import type { AppliedMigration } from "../report.ts";

/** One of the two ways to apply migrations. Both leave the same database and the same ledger rows. */
export interface Executor {
  readonly name: "drizzle" | "statements";
  /**
   * Applies migrations in one transaction, their ledger rows included. Resolves once it is committed.
   * @throws MigratorError `MIGRATION_FAILED` and whatever else says what it was; then nothing is left behind
   * @throws BootstrapRefused where this executor may not prepare the ledger; nothing was sent yet
   */
  apply(migrations: readonly Migration[]): Promise<AppliedTransaction>;
}

/** What one transaction has applied. */
export interface AppliedTransaction {
  readonly applied: readonly AppliedMigration[];
  /** Where the ledger rows went. */
  readonly place: LedgerPlace;
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

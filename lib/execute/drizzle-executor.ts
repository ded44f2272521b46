import type { MigrationMeta } from "drizzle-orm/migrator";
import { NeonSession } from "drizzle-orm/neon-serverless";
import { PgDialect } from "drizzle-orm/pg-core";
import { chunksOf, type Migration } from "../bundle/bundle.ts";
import type { Step } from "../bundle/steps.ts";
import type { Connection } from "../connection/connection.ts";
import type { LedgerPlace } from "../target/target.ts";
import { deferTransaction } from "./deferred-client.ts";
import type { AppliedStep, Executor } from "./executor.ts";

/**
 * Drizzle's own migrator (`PgDialect.migrate` of drizzle-orm 0.45), unmodified, on the pinned client.
 * It is given exactly the migrations that are pending, in memory: there is no folder in a Lambda. What it
 * sends inside its transaction travels in one go.
 */
export function createDrizzleExecutor(
  connection: Connection,
  place: LedgerPlace,
  lockTimeoutMs: number,
): Executor {
  async function apply(step: Step): Promise<AppliedStep> {
    const migrations = wholeMigrations(step);
    const deferred = deferTransaction(connection, migrations, lockTimeoutMs);
    const dialect = new PgDialect();
    try {
      await dialect.migrate(
        migrations.map(toMeta),
        new NeonSession(deferred.client, dialect, undefined),
        { migrationsFolder: "", migrationsSchema: place.schema, migrationsTable: place.table },
      );
    } catch (thrown) {
      throw deferred.firstFailure() ?? thrown;
    }
    return { applied: deferred.applied(), place, warnings: [] };
  }
  return { name: "drizzle", apply };
}

/** Drizzle knows no part of a migration; a plan that has one takes the other executor. */
function wholeMigrations(step: Step): readonly Migration[] {
  if (step.kind === "alone") throw new Error("Drizzle's migrator has one transaction for all.");
  return step.slices.map(({ migration }) => migration);
}

function toMeta(migration: Migration): MigrationMeta {
  return {
    sql: [...chunksOf(migration)],
    folderMillis: migration.when,
    hash: migration.hash,
    bps: true,
  };
}

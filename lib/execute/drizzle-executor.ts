import type { MigrationMeta } from "drizzle-orm/migrator";
import { NeonSession } from "drizzle-orm/neon-serverless";
import { PgDialect } from "drizzle-orm/pg-core";
import { chunksOf, type Migration } from "../bundle/bundle.ts";
import type { Step } from "../bundle/steps.ts";
import { createKeeper } from "../history/keeper.ts";
import { knownFrom } from "../ledger/guard.ts";
import { deferTransaction } from "./deferred-client.ts";
import type { AppliedStep, Executing, Executor } from "./executor.ts";

/**
 * Drizzle decides and we send, because Drizzle's migrator waits for the answer to every statement, and each wait
 * costs a round trip. The migrator is `PgDialect.migrate` of drizzle-orm 0.45, unmodified. It gets exactly the
 * pending migrations, in memory, because a Lambda function has no folder of them. `deferTransaction` collects the
 * statements of its transaction, and sends them in one go.
 */
export function createDrizzleExecutor(executing: Executing): Executor {
  const { connection, ledger, lockTimeoutMs, history, lockouts } = executing;
  const { place } = ledger;
  const keeper = createKeeper(ledger, connection.database.role, history);
  let known = knownFrom(ledger);

  async function apply(step: Step): Promise<AppliedStep> {
    const migrations = wholeMigrations(step);
    const deferral = { connection, migrations, lockTimeoutMs, ledger, known, keeper, lockouts };
    const deferred = deferTransaction(deferral);
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
    const applied = deferred.applied();
    known = { ...known, rows: known.rows + applied.length };
    return { applied, place, warnings: keeper.warnings() };
  }
  return { name: "drizzle", apply };
}

/**
 * Returns the migrations of a step. Drizzle cannot apply a part of one: a plan with parts takes the other executor.
 */
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

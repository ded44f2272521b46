import { type Migration, statementText } from "../bundle.ts";
import type { Connection } from "../connection.ts";
import { createLedger, insertLedgerRow } from "../ledger.ts";
import { chooseWritePlace, explainLedgerError, type Ledger } from "../ledger-home.ts";
import { type AppliedMigration, describeApplied } from "../report.ts";
import type { AppliedTransaction, Executor } from "./executor.ts";
import { bookkeepingFailed, commitFailed, migrationFailed } from "./failure.ts";

/**
 * Our own executor: one statement at a time, in one transaction, each migration's ledger row in the
 * same transaction as its statements, and the ledger itself too where it has to be created.
 * @throws MigratorError `LEDGER_DENIED`, before anything is sent, when no ledger can be written
 */
export function createStatementsExecutor(connection: Connection, ledger: Ledger): Executor {
  const { role } = connection.database;
  let target = chooseWritePlace(ledger, role);

  async function bookkeep(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      throw bookkeepingFailed(explainLedgerError(thrown, ledger, role));
    }
  }

  async function applyOne(migration: Migration): Promise<AppliedMigration> {
    const started = performance.now();
    connection.attributeNotices(migration.tag);
    for (const [index, statement] of migration.statements.entries()) {
      try {
        await connection.query(statementText(migration, statement));
      } catch (thrown) {
        throw migrationFailed(thrown, { migration, statement: index, sentFrom: statement.start });
      }
    }
    connection.attributeNotices(null);
    await bookkeep(() => insertLedgerRow(connection, target.place, migration));
    return describeApplied(migration, Math.round(performance.now() - started));
  }

  async function applyAll(migrations: readonly Migration[]): Promise<AppliedTransaction> {
    await connection.query("begin");
    try {
      await bookkeep(() => createLedger(connection, target));
      const applied: AppliedMigration[] = [];
      for (const migration of migrations) applied.push(await applyOne(migration));
      await commit(connection, migrations);
      target = { ...target, createSchema: false, createTable: false };
      return { applied, place: target.place };
    } catch (thrown) {
      connection.attributeNotices(null);
      await rollBack(connection);
      throw thrown;
    }
  }

  return { name: "statements", apply: applyAll };
}

async function commit(connection: Connection, migrations: readonly Migration[]): Promise<void> {
  try {
    await connection.query("commit");
  } catch (thrown) {
    throw commitFailed(thrown, migrations);
  }
}

/** A ROLLBACK that fails means that the session is gone, and with it the transaction: nothing to add. */
async function rollBack(connection: Connection): Promise<void> {
  try {
    await connection.cleanUp("rollback");
  } catch {
    // The first error is the one that is reported.
  }
}

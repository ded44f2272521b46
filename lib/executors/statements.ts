import type { Migration } from "../bundle.ts";
import type { Connection } from "../connection.ts";
import { createLedgerStatements, ledgerRowInsert } from "../ledger.ts";
import { chooseWritePlace, explainLedgerError, type Ledger } from "../ledger-home.ts";
import type { AppliedTransaction, Executor } from "./executor.ts";
import { beginParts, type Part, sendTransaction, statementParts } from "./transaction.ts";

/**
 * Our own executor: statement by statement, in one transaction, each migration's ledger row in the same
 * transaction as its statements, and the ledger itself too where it has to be created: a failed run
 * leaves not even an empty table behind.
 * @throws MigratorError `LEDGER_DENIED`, before anything is sent, when no ledger can be written
 */
export function createStatementsExecutor(
  connection: Connection,
  ledger: Ledger,
  lockTimeoutMs: number,
): Executor {
  const { role } = connection.database;
  let target = chooseWritePlace(ledger, role);

  async function apply(migrations: readonly Migration[]): Promise<AppliedTransaction> {
    const { place } = target;
    const parts: readonly Part[] = [
      ...beginParts("begin", lockTimeoutMs),
      ...createLedgerStatements(target).map((text): Part => ({ kind: "ledger", text })),
      ...migrations.flatMap((migration) => [
        ...statementParts(migration),
        { kind: "ledger-row" as const, migration, ...ledgerRowInsert(place, migration) },
      ]),
      { kind: "commit", text: "commit" },
    ];
    const applied = await sendTransaction(connection, parts, (thrown) =>
      explainLedgerError(thrown, ledger, role),
    );
    target = { ...target, createSchema: false, createTable: false };
    return { applied, place };
  }

  return { name: "statements", apply };
}

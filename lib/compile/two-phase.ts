import type { Statement } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";
import type { MigrationFile } from "./folder.ts";

/**
 * Refuses two-phase commit. PREPARE TRANSACTION takes the transaction away from the run, with its locks and the ledger
 * row in it, and leaves it open until somebody ends it. The name of a prepared transaction means nothing elsewhere.
 * @throws MigratorError `TWO_PHASE_COMMIT`, with file, line and column
 */
export function refuseTwoPhaseCommit(
  { tag, path, sql }: MigrationFile,
  statements: readonly Statement[],
): void {
  const index = statements.findIndex(
    ({ kind, mode }) => kind === "TransactionStmt" && mode === "alone",
  );
  const statement = statements[index];
  if (statement === undefined) return;
  const { line, column, start, end } = statement;
  const excerpt = sql.slice(start, end).slice(0, 500);
  const words = excerpt.split(/\s+/, 2).join(" ").toUpperCase();
  throw new MigratorError(
    "TWO_PHASE_COMMIT",
    `${path}:${line}:${column}: ${words} hands a transaction over to two-phase commit, and a migration cannot: its transaction holds its ledger row, and ends with the run. Write COMMIT in the place of PREPARE TRANSACTION, and leave COMMIT PREPARED and ROLLBACK PREPARED out; where the transaction is another program's, end it there.`,
    { migration: tag, statement: { index: index + 1, line, column, excerpt } },
  );
}

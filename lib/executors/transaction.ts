import { type Migration, statementText } from "../bundle.ts";
import type { Connection } from "../connection.ts";
import { SendFailure, type Sending } from "../pipeline.ts";
import { type AppliedMigration, describeApplied } from "../report.ts";
import { bookkeepingFailed, commitFailed, migrationFailed } from "./failure.ts";

/** One thing to send within a transaction, and what it is part of. */
export type Part =
  | (Sending & { readonly kind: "begin" | "setting" | "ledger" | "commit" })
  | (Sending & {
      readonly kind: "statement";
      readonly migration: Migration;
      readonly index: number;
    })
  | (Sending & { readonly kind: "ledger-row"; readonly migration: Migration });

/** How a transaction begins: a statement that waits for a lock makes everybody queue behind it. */
export function beginParts(begin: string, lockTimeoutMs: number): readonly Part[] {
  return [
    { kind: "begin", text: begin },
    { kind: "setting", text: `set local lock_timeout = ${lockTimeoutMs}` },
  ];
}

/** The statements of a migration, in order. */
export function statementParts(migration: Migration): readonly Part[] {
  return migration.statements.map((statement, index) => ({
    kind: "statement",
    text: statementText(migration, statement),
    migration,
    index,
  }));
}

/**
 * Sends a whole transaction, its `begin` and `commit` included, and waits for the answer to all of it.
 * @param explainLedger turns a refusal of our own bookkeeping into what it means
 * @throws MigratorError naming migration and statement; the transaction is rolled back, and a ROLLBACK
 *   that fails does not hide the first error
 */
export async function sendTransaction(
  connection: Connection,
  parts: readonly Part[],
  explainLedger: (thrown: unknown) => unknown = (thrown) => thrown,
): Promise<readonly AppliedMigration[]> {
  const pipelined = parts.every((part) => part.kind !== "statement" || mayBePipelined(part));
  try {
    const durationsMs = await connection.sendAll(parts, {
      pipelined,
      onStart: (index) => connection.attributeNotices(migrationOf(parts[index])?.tag ?? null),
    });
    return appliedOf(parts, durationsMs);
  } catch (thrown) {
    connection.attributeNotices(null);
    await rollBack(connection);
    if (!(thrown instanceof SendFailure)) throw thrown;
    throw explain(parts, thrown, explainLedger);
  }
}

/** A statement that begins or ends transactions must see the answer to the one before it. */
function mayBePipelined({ migration, index }: Part & { readonly kind: "statement" }): boolean {
  return migration.statements[index]?.kind !== "TransactionStmt";
}

function migrationOf(part: Part | undefined): Migration | null {
  return part !== undefined && "migration" in part ? part.migration : null;
}

/** A ROLLBACK that fails means that the session is gone, and with it the transaction: nothing to add. */
async function rollBack(connection: Connection): Promise<void> {
  try {
    await connection.cleanUp("rollback");
  } catch {
    // The first error is the one that is reported.
  }
}

function explain(
  parts: readonly Part[],
  { index, cause }: SendFailure,
  explainLedger: (thrown: unknown) => unknown,
): unknown {
  const part = parts[index];
  if (part === undefined) return cause;
  switch (part.kind) {
    case "statement":
      return migrationFailed(cause, part.migration, part.index);
    case "commit":
      return commitFailed(
        cause,
        parts.flatMap((each) => (each.kind === "ledger-row" ? [each.migration] : [])),
      );
    default:
      return bookkeepingFailed(explainLedger(cause));
  }
}

function appliedOf(
  parts: readonly Part[],
  durationsMs: readonly number[],
): readonly AppliedMigration[] {
  const totals = new Map<Migration, number>();
  for (const [index, part] of parts.entries()) {
    const migration = migrationOf(part);
    if (migration === null) continue;
    totals.set(migration, (totals.get(migration) ?? 0) + (durationsMs[index] ?? 0));
  }
  return Array.from(totals, ([migration, ms]) => describeApplied(migration, Math.round(ms)));
}

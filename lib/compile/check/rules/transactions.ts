import type { Statement } from "../../../bundle/bundle.ts";
import { type LockMode, strongerLock } from "../../../postgres/locks.ts";
import { type ObjectName, quoteName } from "../../../postgres/names.ts";
import { keyOf, list, type Node, record, relation } from "../../sql/tree.ts";
import type { Checked, Problem, Rule } from "../rule.ts";

/** Rules about transactions: their ends, and the locks that they hold together. */
export const TRANSACTION_RULES: readonly Rule[] = [
  {
    id: "backfill-with-ddl",
    severity: "error",
    summary:
      "An UPDATE of a whole table keeps the locks of the DDL in its transaction for as long as it takes.",
    kinds: ["UpdateStmt"],
    check: backfill,
  },
  {
    id: "concurrently-by-commit",
    severity: "warning",
    summary:
      "A COMMIT in front of CONCURRENTLY is not needed here: such a statement stands alone by itself, and what is left of a failed run is cleaned up.",
    kinds: ["IndexStmt", "DropStmt", "ReindexStmt", "AlterTableStmt"],
    check: ({ index, migration, statement, text: sql }) => {
      if (statement.mode !== "alone" || !endsTransaction(migration.statements[index - 1]))
        return [];
      return [
        {
          message:
            "The COMMIT above ends the transaction for all that follows; CONCURRENTLY does not need it.",
          rewrite: `-- neon-migrate: no-transaction\n${sql};`,
        },
      ];
    },
  },
  {
    id: "transaction-control",
    severity: "warning",
    summary:
      "A migration that begins or ends transactions itself cannot be rolled back as a whole.",
    kinds: ["TransactionStmt"],
    check: ({ statement, migration, index, text: sql }) => {
      const next = migration.statements[index + 1];
      const concurrent = endsTransaction(statement) && next?.mode === "alone";
      if (statement.mode === "transactional" || concurrent) return [];
      return [
        {
          message: `${sql.split(/\s/, 1)[0]?.toUpperCase()} cuts this migration in parts: what comes before it stays when what comes behind it fails.`,
          rewrite:
            "-- Leave it out. Or, where each statement shall commit by itself, say so at the head of the file:\n-- neon-migrate: no-transaction",
        },
      ];
    },
  },
  {
    id: "several-exclusive-locks",
    severity: "warning",
    summary:
      "A transaction that locks several tables against reads and writes keeps the first locked while it waits for the next, and may deadlock with the application.",
    kinds: [
      "AlterTableStmt",
      "DropStmt",
      "TruncateStmt",
      "RenameStmt",
      "LockStmt",
      "CreatePolicyStmt",
      "AlterPolicyStmt",
    ],
    check: severalLocks,
  },
];

function endsTransaction(statement: Statement | undefined): boolean {
  return statement?.mode === "commit" || statement?.mode === "rollback";
}

function backfill({ node, isNew, together, migration, text: sql }: Checked): readonly Problem[] {
  const table = relation(node.relation);
  if (isNew(table) || !isWholeTable(node.whereClause)) return [];
  const ddl = together.find((each) => {
    const other = migration.statements[each];
    // A statement that writes rows takes less than SHARE.
    return other !== undefined && tablesLocked(other, "SHARE").some((locked) => !isNew(locked));
  });
  const line = ddl === undefined ? undefined : migration.statements[ddl]?.line;
  if (line === undefined) return [];
  return [
    {
      message: `Every row of ${quoteName(table)} is written while the transaction holds the lock of the DDL in line ${line}.`,
      rewrite: `-- In a migration of its own, as often as it finds rows:\n${inBatches(sql, node, table)};`,
      table,
      asks: { kind: "scan", index: null },
    },
  ];
}

/** Writes an UPDATE in batches. The condition must not match finished rows; where none is given, the author adds it. */
function inBatches(sql: string, { whereClause }: Node, table: ObjectName): string {
  if (whereClause === undefined)
    return `${sql} WHERE /* a batch of rows that are not done yet */ false`;
  const condition = sql.slice(sql.search(/\bwhere\b(?!.*\bwhere\b)/is));
  return `${sql} AND ctid = ANY (ARRAY(SELECT ctid FROM ${quoteName(table)} ${condition} LIMIT 10000))`;
}

/** Whether a condition means every row. Backfills write `WHERE column IS NULL` for that. */
function isWholeTable(where: unknown): boolean {
  if (where === undefined) return true;
  const { NullTest, A_Const, BoolExpr } = record(where);
  if (NullTest !== undefined) return record(NullTest).nulltesttype === "IS_NULL";
  if (A_Const !== undefined) return record(record(A_Const).boolval).boolval === true;
  return list(record(BoolExpr).args).length > 0 && list(record(BoolExpr).args).every(isWholeTable);
}

/** The tables that a transaction has locked so far, by the list of its statements. */
const HELD = new WeakMap<readonly number[], Map<string, ObjectName>>();

function severalLocks({ statement, text: sql, together, isNew }: Checked): readonly Problem[] {
  const here = tablesLocked(statement, "ACCESS EXCLUSIVE").filter((table) => !isNew(table));
  const held = HELD.get(together) ?? new Map<string, ObjectName>();
  const before = held.size;
  for (const table of here) held.set(keyOf(table), table);
  HELD.set(together, held);
  const [first, second] = held.values();
  // One finding for a transaction: at the statement that locks the second table.
  if (first === undefined || second === undefined || before > 1) return [];
  return [
    {
      message: `${quoteName(first)} stays locked against reads and writes while this waits for ${quoteName(second)}.`,
      rewrite: `-- neon-migrate: no-transaction\n${sql};`,
      table: second,
      asks: { kind: "use" },
    },
  ];
}

/** Returns the tables that a statement names and locks at least so strongly. */
function tablesLocked(
  { touches = [] }: Pick<Statement, "touches">,
  atLeast: LockMode,
): readonly ObjectName[] {
  return touches
    .filter(({ kind, lock }) => kind === "table" && lock !== undefined && !isWeaker(lock, atLeast))
    .map(({ schema, name }) => ({ schema, name }));
}

function isWeaker(lock: LockMode, than: LockMode): boolean {
  return lock !== than && strongerLock(lock, than) === than;
}

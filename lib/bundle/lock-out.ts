import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import { type Migration, type Statement, statementText, type Touched } from "./bundle.ts";
import { madeBy, nameOf, PHRASES, UNSEEN } from "./statement-locks.ts";

/** The lock of a statement that keeps reads or writes of others waiting. */
export interface LockOut {
  /** The relation, in words; null where the text of the statement does not show what it locks. */
  readonly relation: string | null;
  readonly mode: LockMode | null;
}

/** The names of the objects that were made, as `nameOf` writes them. */
export interface Made {
  /** Earlier in the run. */
  readonly before: ReadonlySet<string>;
  /** Earlier in the same transaction. */
  readonly within: ReadonlySet<string>;
}

/** Kinds that may lock whatever they want, or run code that does. */
const MAY_LOCK: readonly string[] = [
  ...UNSEEN,
  ...["SelectStmt", "ExecuteStmt", "AlterExtensionStmt"],
];

/** Kinds that lock the tables of a whole database, schema, role or tablespace where they name none. */
const LOCKS_ALL: readonly string[] = [
  ...["ReindexStmt", "ClusterStmt", "DropOwnedStmt", "AlterTableMoveAllStmt"],
];

/** Kinds that change or lock rows: writes to the same rows wait. An INSERT is none: nobody waits for a row that was not there. */
const LOCKS_ROWS: readonly string[] = ["UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt"];

/** The weakest lock that keeps a write to a table waiting (docs/reference/locks.md). */
const WEAKEST: number = LOCK_MODES.indexOf("SHARE");
/** The locks of those on their table. */
const OF_ROWS: readonly LockMode[] = ["ROW SHARE", "ROW EXCLUSIVE"];

/**
 * Returns the lock with which a statement begins to keep reads or writes of others waiting, on something that was there
 * before the run; null where its text shows that it takes none. The work of triggers and functions behind a statement that
 * changes rows is not seen.
 */
export function lockOutBy(migration: Migration, index: number, made: Made): LockOut | null {
  const statement = migration.statements[index];
  if (statement === undefined) return null;
  const { kind, touches = [] } = statement;
  let first: Touched | null = null;
  for (const each of touches) {
    if (strength(each) <= strength(first ?? {}) || !locksOut(kind, each)) continue;
    if (!isMade(each, made)) first = each;
  }
  if (first?.lock !== undefined) {
    const name = nameOf(first);
    return { relation: PHRASES[first.kind]?.(name) ?? name, mode: first.lock };
  }
  return mayLockUnseen(migration, statement) ? { relation: null, mode: null } : null;
}

function mayLockUnseen(migration: Migration, statement: Statement): boolean {
  const { kind, touches = [] } = statement;
  if (MAY_LOCK.includes(kind)) return true;
  if (touches.length > 0) return false;
  const isFull = kind === "VacuumStmt" && /\bfull\b/i.test(statementText(migration, statement));
  return isFull || LOCKS_ALL.includes(kind);
}

/**
 * Returns the names of the objects that a statement makes under a name that means nothing else. Another search path, and a
 * temporary table, give a name that stands for something of before a second meaning.
 */
export function surelyMade(migration: Migration, statement: Statement): readonly string[] {
  const made = madeBy(migration, statement);
  if (made.length === 0 || /\btemp/i.test(statementText(migration, statement))) return [];
  return made.filter(({ schema }) => schema !== null || hasOnePath(migration)).map(nameOf);
}

/** Whether a file has a search path of its own. A file can be long, and have thousands of statements: it is read once. */
const ownPaths = new WeakMap<Migration, boolean>();

function hasOnePath(migration: Migration): boolean {
  const known = ownPaths.get(migration) ?? /search_path/i.test(migration.sql);
  ownPaths.set(migration, known);
  return !known;
}

function locksOut(kind: string, touched: Touched): boolean {
  if (touched.lock === undefined) return false;
  if (strength(touched) >= WEAKEST) return true;
  return OF_ROWS.includes(touched.lock) && LOCKS_ROWS.includes(kind);
}

/**
 * Whether it is of this run. A name that leads to relations which it does not name leads to none of before only in the
 * transaction that made it: there, whatever connected the two has locked them already.
 */
function isMade(touched: Touched, { before, within }: Made): boolean {
  const name = nameOf(touched);
  return within.has(name) || (before.has(name) && PHRASES[touched.kind] === undefined);
}

function strength({ lock }: Pick<Touched, "lock">): number {
  return lock === undefined ? -1 : LOCK_MODES.indexOf(lock);
}

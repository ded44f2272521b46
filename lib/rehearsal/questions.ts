import type { Sending } from "../connection/pipeline.ts";
import type { Part } from "../execute/transaction.ts";
import { FIRST_USER_OID, type Relations } from "./relations.ts";

/** A statement of a migration, as it is sent. */
export type StatementPart = Extract<Part, { kind: "statement" }>;

/** The two questions that are put behind statements. */
export interface Questions {
  /** Answers with the clock before and behind, and the position in the log. */
  readonly clock: Pick<Sending, "text" | "values">;
  /** Answers with the same and, in between, the locks as `oid:mode` and, of those against everybody, the file as `oid:filenode`. */
  readonly locks: Pick<Sending, "text" | "values">;
}

const MS = (clock: string) =>
  `(pg_catalog.date_part('epoch', pg_catalog.${clock}()) operator(pg_catalog.*) 1000)::pg_catalog.text`;

/**
 * Returns the questions. `statement_timestamp()` is the moment at which the server began with the question,
 * `clock_timestamp()` the present one (PostgreSQL documentation, "Date/Time Functions").
 * @param readsWal whether the role may ask for the position in the write-ahead log
 */
export function questionsAbout(relations: Relations, readsWal: boolean): Questions {
  const wal = `${readsWal ? "pg_catalog.pg_current_wal_insert_lsn()" : "null"}::pg_catalog.text`;
  const clock = `select ${MS("statement_timestamp")}, ${wal}, ${MS("clock_timestamp")}`;
  const locks = `select ${MS("statement_timestamp")}, ${wal}, ${MS("clock_timestamp")}, o.locks, o.files
from (select
    pg_catalog.string_agg(l.relation operator(pg_catalog.||) (':' operator(pg_catalog.||) l.mode), ',') as locks,
    pg_catalog.string_agg(l.relation operator(pg_catalog.||) (':' operator(pg_catalog.||) pg_catalog.pg_relation_filenode(l.relation)::pg_catalog.text), ',')
      filter (where l.mode operator(pg_catalog.=) 'AccessExclusiveLock') as files
  from pg_catalog.pg_lock_status() l
  where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid() and l.locktype operator(pg_catalog.=) 'relation' and l.granted
    and l.relation operator(pg_catalog.>=) ${FIRST_USER_OID} and l.relation operator(pg_catalog.<=) $1::pg_catalog.oid) o`;
  return { clock: { text: clock }, locks: { text: locks, values: [newest(relations)] } };
}

/** Returns the newest oid of before: most of what the migrations make has a later one, and need not be asked for. */
function newest(relations: Relations): string {
  let highest = FIRST_USER_OID;
  for (const oid of relations.keys()) highest = Math.max(highest, Number(oid));
  return String(highest);
}

/** So many statements may follow one another without a question for locks. */
const MOST_UNASKED = 50;

/** The kinds of statements that change rows. They lock by name, and more only through a trigger. */
const CHANGES_ROWS: readonly string[] = ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/** The kinds whose text shows everything that they lock. Of any other kind the server is asked each time. */
const SHOWS_ITS_LOCKS: readonly string[] = [
  ...CHANGES_ROWS,
  ...[
    "CreateStmt",
    "IndexStmt",
    "AlterTableStmt",
    "CreateEnumStmt",
    "CreateSchemaStmt",
    "CommentStmt",
  ],
  ...["CreateSeqStmt", "CreateFunctionStmt", "VariableSetStmt", "CreateTrigStmt", "RenameStmt"],
];

/**
 * Says of each statement of a transaction whether the server is asked for its locks behind it. It is not where the texts show
 * that nothing of before is locked: to ask costs more the more locks there are, and a large migration mostly makes
 * things. It is asked on both sides of a statement that may lock something, so that its locks are told from those of the
 * statements before it; and behind the last one.
 */
export function askedBehind(
  statements: readonly StatementPart[],
  relations: Relations,
): readonly boolean[] {
  const names = new Set(Array.from(relations.values(), ({ name }) => lastPart(name)));
  const seen = new Set<string>();
  const mayLock = statements.map((part) => locksOld(part, names, seen));
  let unasked = 0;
  return mayLock.map((own, index) => {
    const next = mayLock[index + 1] ?? true;
    const isAsked = own || next || unasked >= MOST_UNASKED;
    unasked = isAsked ? 0 : unasked + 1;
    return isAsked;
  });
}

/**
 * Whether a statement may lock a relation of before. A relation of the same name in another schema makes a question too
 * many, and loses nothing.
 * @param seen what has changed rows of which table already: the same trigger takes the same locks again
 */
function locksOld(
  { migration, index }: StatementPart,
  names: ReadonlySet<string>,
  seen: Set<string>,
): boolean {
  const { kind = "", touches = [] } = migration.statements[index] ?? {};
  if (!SHOWS_ITS_LOCKS.includes(kind)) return true;
  const locking = touches.filter(({ lock }) => lock !== undefined);
  // Of a relation that is not named, but reached from the name, nobody knows here.
  if (locking.some((touched) => touched.kind.includes("-"))) return true;
  const old = locking.filter(({ name }) => names.has(name));
  if (!CHANGES_ROWS.includes(kind)) return old.length > 0;
  const fresh = old.filter(({ name }) => !seen.has(`${kind} ${name}`));
  for (const { name } of fresh) seen.add(`${kind} ${name}`);
  return fresh.length > 0;
}

function lastPart(name: string): string {
  return name.slice(name.indexOf(".") + 1);
}

import type { Sending } from "../connection/pipeline.ts";
import { FIRST_USER_OID, type Relations } from "./relations.ts";

/** The two questions that are put behind statements. */
export interface Questions {
  /** Answers with the clock before and behind, and the position in the log. */
  readonly clock: Pick<Sending, "text">;
  /** Answers with the same and, in between, the locks as `oid:mode` and, of those against everybody, the file as `oid:filenode`. */
  readonly locks: Pick<Sending, "text">;
}

/** The seconds since 1970 at a moment of the server's clock. */
const seconds = (clock: string) => `pg_catalog.date_part('epoch', pg_catalog.${clock}())`;

/**
 * Returns the questions. `statement_timestamp()` is the moment at which the server began with the question,
 * `clock_timestamp()` the present one (PostgreSQL documentation, "Date/Time Functions"). The function behind `pg_locks` stands
 * in a list of columns: there PostgreSQL does not first write all of its rows aside, which takes twice as long.
 * @param readsWal whether the role may ask for the position in the write-ahead log
 */
export function questionsAbout(relations: Relations, readsWal: boolean): Questions {
  const clock = clockQuestion(readsWal);
  const locks = `${clock}, o.locks, o.files from (${heldBy("pg_catalog.pg_backend_pid()", relations)}) o`;
  return { clock: { text: clock }, locks: { text: locks } };
}

function clockQuestion(readsWal: boolean): string {
  const wal = readsWal ? "pg_catalog.pg_current_wal_insert_lsn()" : "null";
  return `select ${seconds("statement_timestamp")} as asked, ${wal} as wal, ${seconds("clock_timestamp")} as answered`;
}

/** The questions that a second session puts while a statement runs. */
export interface SamplingQuestions {
  readonly clock: string;
  /** As in a series, of the session with that process id. */
  readonly locks: string;
  /** Answers with the clock and the files of all relations of before: nobody has a lock any more. */
  readonly end: string;
}

/** @param pid the process that runs the statement */
export function samplingOf(
  pid: number,
  relations: Relations,
  readsWal: boolean,
): SamplingQuestions {
  const clock = clockQuestion(readsWal);
  const files = `select pg_catalog.string_agg(oid operator(pg_catalog.||) (':' operator(pg_catalog.||) pg_catalog.pg_relation_filenode(oid)::pg_catalog.text), ',') as files
    from pg_catalog.pg_class where oid operator(pg_catalog.>=) ${FIRST_USER_OID} and oid operator(pg_catalog.<=) ${newest(relations)}`;
  return {
    clock,
    locks: `${clock}, o.locks, o.files from (${heldBy(String(pid), relations)}) o`,
    end: `${clock}, null as locks, o.files from (${files}) o`,
  };
}

/**
 * Returns the query for the locks of a session on relations of before, and for the files of those that it has against
 * everybody. What a SERIALIZABLE transaction has read is among the server's locks, too, and keeps nobody waiting.
 * @param pid an expression
 */
function heldBy(pid: string, relations: Relations): string {
  const lock = (field: string) => `(s.held).${field}`;
  const pairs = (other: string) =>
    `pg_catalog.string_agg(${lock("relation")} operator(pg_catalog.||) (':' operator(pg_catalog.||) ${other}), ',')`;
  return `select ${pairs(lock("mode"))} as locks,
    ${pairs(`pg_catalog.pg_relation_filenode(${lock("relation")})::pg_catalog.text`)}
      filter (where ${lock("mode")} operator(pg_catalog.=) 'AccessExclusiveLock') as files
  from (select pg_catalog.pg_lock_status() as held offset 0) s
  where ${lock("relation")} operator(pg_catalog.>=) ${FIRST_USER_OID} and ${lock("relation")} operator(pg_catalog.<=) ${newest(relations)}
    and ${lock("pid")} operator(pg_catalog.=) ${pid} and ${lock("locktype")} operator(pg_catalog.=) 'relation' and ${lock("granted")}
    and ${lock("mode")} operator(pg_catalog.<>) 'SIReadLock'`;
}

/** Returns the newest oid of before: most of what the migrations make has a later one, and need not be asked for. */
function newest(relations: Relations): string {
  let highest = FIRST_USER_OID;
  for (const oid of relations.keys()) highest = Math.max(highest, Number(oid));
  return String(highest);
}

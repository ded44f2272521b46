import type { Connection, Rows } from "../connection/connection.ts";
import type { Warning } from "../errors.ts";
import type { Before, WantedIndex } from "../ledger/checkpoints.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { type ObjectName, quoteIdentifier, quoteLiteral, quoteName } from "../postgres/names.ts";

/** The facts about an index that tell whether it is a leftover, and whose. */
export interface IndexFacts {
  readonly id: number;
  readonly name: string;
  readonly schema: string;
  readonly valid: boolean;
  /** The name of its table, quoted where it must be. */
  readonly table: string;
  readonly tableName: string;
  /** Whether its table can be locked: a materialized view, and a table of TOAST, cannot. */
  readonly lockable: boolean;
}

/** Turns an object id into a number of the driver. */
export const AS_NUMBER = "::pg_catalog.int8::pg_catalog.text::pg_catalog.float8";

const INDEXES = `
  select c.oid${AS_NUMBER} as "id", c.relname::pg_catalog.text as "name", n.nspname::pg_catalog.text as "schema",
    i.indisvalid and i.indisready as "valid", pg_catalog.format('%I.%I', tn.nspname, t.relname) as "table",
    t.relname::pg_catalog.text as "tableName", t.relkind operator(pg_catalog.=) 'r' as "lockable"
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) i.indexrelid and c.relkind operator(pg_catalog.=) 'i'
  join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
  join pg_catalog.pg_class t on t.oid operator(pg_catalog.=) i.indrelid
  join pg_catalog.pg_namespace tn on tn.oid operator(pg_catalog.=) t.relnamespace`;

/** A table, by its object id, with all its indexes. Of a partitioned one it has none. */
export interface TableIndexes {
  readonly table: number;
  /** Its name, quoted, while somebody else builds an index of it; null otherwise. */
  readonly built: string | null;
  readonly indexes: readonly IndexFacts[];
}

/** Looks for a table by its name, or by its object id. @returns null where there is none */
export async function indexesOf(
  connection: Connection,
  of: ObjectName | number,
): Promise<TableIndexes | null> {
  const which =
    typeof of === "number" ? "$1::pg_catalog.text::pg_catalog.oid" : "pg_catalog.to_regclass($1)";
  const rows = await connection.query<
    IndexFacts & { readonly of: number | null; readonly built: string | null }
  >(
    `select o.oid${AS_NUMBER} as "of", ${builtTable("o.oid")} as "built", x.*
     from (select ${which}::pg_catalog.oid as oid) o
     left join lateral (${INDEXES} where i.indrelid operator(pg_catalog.=) o.oid) x on true`,
    [typeof of === "number" ? of : quoteName(of)],
  );
  const { of: table = null, built = null } = rows[0] ?? {};
  return table === null ? null : { table, built, indexes: rows.filter(({ id }) => id !== null) };
}

/**
 * Returns the INVALID indexes that a statement has left behind. The record of what there was before tells them from those
 * of others: by their ids, by their name, or, without a name, by all that the statement wanted.
 */
export async function leftBy(
  connection: Connection,
  { there = [], left = [], table, index = null, wanted }: Before,
): Promise<readonly IndexFacts[]> {
  if (table === undefined && left.length === 0) return [];
  const ids = (list: readonly number[]) => `{${list.join()}}`;
  const found = await connection.query<IndexFacts>(
    `${INDEXES}
    where not (i.indisvalid and i.indisready) and (
      i.indexrelid operator(pg_catalog.=) any($1::pg_catalog.oid[])
      or i.indrelid operator(pg_catalog.=) any($2::pg_catalog.oid[]) and not i.indexrelid operator(pg_catalog.=) any($3::pg_catalog.oid[])
        and c.relname operator(pg_catalog.=) coalesce($4::pg_catalog.name, c.relname)
    )`,
    [ids(left), ids(table === undefined ? [] : [table]), ids(there), index],
  );
  if (wanted === undefined || index !== null) return found;
  const ours: IndexFacts[] = [];
  for (const each of found) if (await isWanted(connection, each, wanted)) ours.push(each);
  return ours;
}

/**
 * Drops what a refused or interrupted statement has left INVALID.
 * @param wanted the indexes that the next statement drops itself
 * @returns a warning for each index
 */
export async function dropLeft(
  connection: Connection,
  before: Before,
  tag: string,
  wanted: readonly ObjectName[],
): Promise<readonly Warning[]> {
  const left = await leftBy(connection, before);
  const others = left.filter(({ schema, name }) =>
    wanted.every((each) => each.name !== name || (each.schema ?? schema) !== schema),
  );
  return await dropInvalid(connection, others, tag);
}

/**
 * Drops the INVALID ones of these indexes, but none that somebody is building.
 * @returns a warning for each
 */
export async function dropInvalid(
  connection: Connection,
  indexes: readonly IndexFacts[],
  tag: string,
): Promise<readonly Warning[]> {
  const warnings: Warning[] = [];
  for (const leftover of indexes.filter(({ valid }) => !valid)) {
    if (!(await staysInvalid(connection, leftover))) continue;
    const index = quoteName(leftover);
    await connection.query(`drop index concurrently if exists ${index}`);
    warnings.push({
      code: "INVALID_INDEX_DROPPED",
      message: `The index ${index} was INVALID: a statement that builds or drops it had failed or was cut off. It was dropped, and ${tag} goes on.`,
    });
  }
  return warnings;
}

/**
 * Looks at the index again under the lock that everybody holds who builds it. Nothing else shows the work of another
 * role. Readers and writers do not mind this lock.
 */
async function staysInvalid(
  connection: Connection,
  { id, table, lockable }: IndexFacts,
): Promise<boolean> {
  const look = `select from pg_catalog.pg_index where indexrelid operator(pg_catalog.=) ${id} and not (indisvalid and indisready)`;
  const lock = lockable ? lockedFromBuilders(table) : ["begin"];
  return (await together(connection, [...lock, look, "commit"])).length > 0;
}

/** Returns the answer to the last statement but one. Without an answer nothing stays of the transaction. */
async function together(connection: Connection, statements: readonly string[]): Promise<Rows> {
  try {
    return (await connection.batch(statements)).at(-2) ?? [];
  } catch (thrown) {
    await connection.cleanUp("rollback").catch(() => undefined);
    throw thrown;
  }
}

/**
 * Returns the statements that begin a transaction and wait for everybody who builds an index of the table. Who builds
 * one waits for all older snapshots, and would wait for ours: a deadlock, and PostgreSQL ends *their* statement. LOCK
 * itself has no snapshot, but to look up the name takes one, unless the session knows the name already. The first look
 * may let go of what it knew, the second does not.
 */
function lockedFromBuilders(table: string): readonly string[] {
  const know = `select pg_catalog.has_table_privilege(pg_catalog.to_regclass(${quoteLiteral(table)}), 'UPDATE')`;
  const lock = `lock table only ${table} in share update exclusive mode`;
  return ["begin isolation level read committed", know, know, lock];
}

/**
 * Returns an expression: the quoted name of a table while another session works at its indexes, and null otherwise. VACUUM
 * by itself, which has no user, gives way to who waits.
 */
export function builtTable(oid: string): string {
  return `(
    select pg_catalog.format('%I.%I', bn.nspname, b.relname)
    from pg_catalog.pg_class b join pg_catalog.pg_namespace bn on bn.oid operator(pg_catalog.=) b.relnamespace
    where b.oid operator(pg_catalog.=) ${oid} and b.relkind operator(pg_catalog.=) 'r' and exists (
      select from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
      where l.relation operator(pg_catalog.=) b.oid and a.datname operator(pg_catalog.=) pg_catalog.current_database()
        and l.granted and l.mode operator(pg_catalog.=) 'ShareUpdateExclusiveLock'
        and a.usesysid is not null and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
    )
  )`;
}

/**
 * Waits until nobody works at the indexes of the table any more.
 * @param boundMs the longest wait; null keeps the session's own setting
 */
export async function awaitBuilders(
  connection: Connection,
  table: string,
  boundMs: number | null,
): Promise<void> {
  const [begin = "", ...lock] = lockedFromBuilders(table);
  const bound = boundMs === null ? [] : [`set local lock_timeout = ${boundMs}`];
  try {
    await together(connection, [begin, ...bound, ...lock, "commit"]);
  } catch (thrown) {
    // What cannot be locked is left to the statement itself, and to its own words.
    if (!isRefusedAsWritten(thrown)) throw thrown;
  }
}

/**
 * Returns the INVALID twins of a REINDEX CONCURRENTLY: a new index that was never completed, or an old one that was not
 * dropped any more. Both have names of a fixed form (REINDEX, "Rebuilding Indexes Concurrently").
 * @param of the index or the table that is rebuilt; null: everything that the role owns
 */
export async function brokenTwins(
  connection: Connection,
  of: ObjectName | null,
): Promise<readonly IndexFacts[]> {
  return await connection.query<IndexFacts>(
    `
    with named as (select pg_catalog.to_regclass($1)::pg_catalog.oid as oid), tables as (
      select p.relid::pg_catalog.oid as oid from named, pg_catalog.pg_partition_tree(named.oid::pg_catalog.regclass) p
      union select oid from named
      union select x.indrelid from pg_catalog.pg_index x join named on x.indexrelid operator(pg_catalog.=) named.oid
    )
    ${INDEXES}
    where c.relname operator(pg_catalog.~) '_cc(new|old)[0-9]*$' and not (i.indisvalid and i.indisready)
      and pg_catalog.pg_has_role(c.relowner, 'usage')
      and (
        $1::pg_catalog.text is null
        or i.indrelid operator(pg_catalog.=) any (
          select oid from tables
          union select r.reltoastrelid from pg_catalog.pg_class r join tables on tables.oid operator(pg_catalog.=) r.oid
          union select x.indrelid from pg_catalog.pg_index x join tables on x.indexrelid operator(pg_catalog.=) tables.oid
        )
      )
    `,
    [of === null ? null : quoteName(of)],
  );
}

const WANTED = "neon_migrate_wanted_index";

/**
 * Whether an index is what a statement wants, in full. PostgreSQL itself reads the statement for that: it makes the same
 * index of an empty copy of the table, in a transaction that is rolled back. An index that cannot be made so is not the
 * same.
 */
export async function isWanted(
  connection: Connection,
  { id, table, tableName }: IndexFacts,
  { unique, definition }: WantedIndex,
): Promise<boolean> {
  const copy = quoteIdentifier(tableName);
  try {
    const [row] = await together(connection, [
      "begin",
      `create temporary table ${copy} (like ${table})`,
      `create ${unique ? "unique " : ""}index ${WANTED} on pg_temp.${copy} ${definition}`,
      `select pg_catalog.count(*) as "same" from pg_catalog.pg_index i, pg_catalog.pg_index w
       where i.indexrelid operator(pg_catalog.=) ${id} and w.indexrelid operator(pg_catalog.=) 'pg_temp.${WANTED}'::pg_catalog.regclass
         and i.indisunique operator(pg_catalog.=) w.indisunique and ${definitionOf("i")} operator(pg_catalog.=) ${definitionOf("w")}`,
      "rollback",
    ]);
    return Number(row?.same) === 1;
  } catch (thrown) {
    if (isRefusedAsWritten(thrown)) return false;
    throw thrown;
  }
}

/** The classes of SQLSTATEs that refuse a statement for what it says: its features, values, objects. */
const AS_WRITTEN = /^(?:0A|22|42)/;

/** Whether no other moment would have had another answer. A time-out or a deadlock, for example, says nothing of the index. */
function isRefusedAsWritten(thrown: unknown): boolean {
  return AS_WRITTEN.test(postgresFacts(thrown)?.sqlstate ?? "");
}

/** The words of PostgreSQL for an index, from its method on. Before them are the names of index and table. */
function definitionOf(index: string): string {
  const whole = `pg_catalog.pg_get_indexdef(${index}.indexrelid)`;
  return `pg_catalog.substr(${whole}, pg_catalog.strpos(${whole}, ' USING '))`;
}

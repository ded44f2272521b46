import type { PlacedFinding, Question } from "../bundle/finding.ts";
import type { Connection, Rows } from "../connection/connection.ts";
import { type ObjectName, quoteLiteral } from "../postgres/names.ts";

/** The answer of a live database's catalog about one finding. */
export interface CatalogAnswer {
  /** Null when the database has no such table, or the finding names no table. */
  readonly table: TableFacts | null;
  readonly column: ColumnFacts | null;
  /** Whether the server can install the extension of the question; null for any other question. */
  readonly extensionAvailable: boolean | null;
  /** Whether the function of the question is volatile; null for any other question, or without such a function. */
  readonly volatile: boolean | null;
}

/** The size of a table and its use. */
export interface TableFacts {
  /** Size without indexes, partitions included. */
  readonly bytes: number;
  /** Whether it is partitioned. Its own indexes cannot be built CONCURRENTLY; those of its partitions can. */
  readonly partitioned: boolean;
  /** Whether no row was ever written since the table was made or emptied. */
  readonly empty: boolean;
  /** PostgreSQL's last count, or its later estimate; null without either. */
  readonly rows: number | null;
  /** Number of other sessions that hold a lock on it at this moment. */
  readonly sessions: number;
  /** Number of these sessions that write to it. */
  readonly writers: number;
  /** Number of reads since its statistics began; null for a table without these statistics. */
  readonly scans: number | null;
}

/** The facts about the column of a finding. */
export interface ColumnFacts {
  /** Its type's name in the catalog: `varchar`, `int4`, `_text` for an array. */
  readonly type: string;
  readonly typeSchema: string;
  /** PostgreSQL's number for a type's modifiers; -1 for none. */
  readonly modifier: number;
  /** The type as SQL shows it. */
  readonly sqlType: string;
  readonly notNull: boolean;
  /** Name of a validated CHECK that proves the column free of nulls; null without one. */
  readonly provenBy: string | null;
  /** Number of indexes that contain it. */
  readonly indexes: number;
  /** Whether PostgreSQL turns its type into the new one without any work. */
  readonly binaryCoercible: boolean;
  readonly sameType: boolean;
  /** Whether the session's time zone is UTC, where a timestamp is the same with a zone and without. */
  readonly utc: boolean;
}

/** Longest wait for a lock: a lock that another session holds must not hold up a plan. */
const LOCK_TIMEOUT_MS = 500;
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * Asks the catalog about findings, in one message. Writes nothing, and waits for a lock for half a second at the
 * most.
 * @returns an answer for each finding that has a question
 * @throws the error of the server or the connection
 */
export async function askCatalog(
  connection: Connection,
  findings: readonly PlacedFinding[],
): Promise<ReadonlyMap<PlacedFinding, CatalogAnswer>> {
  const asking = findings.filter(({ finding }) => finding.asks !== null);
  if (asking.length === 0) return new Map();
  const asked = asking.map(({ finding }, id) => ({
    id,
    ...namesOf("table", finding.table),
    ...askedBy(finding.asks),
  }));
  const results = await connection.batch([
    "begin transaction read only",
    OURS_FIRST,
    `set local lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
    catalogQuestion(JSON.stringify(asked)),
    "commit",
  ]);
  return new Map(
    readAnswers(results[4] ?? []).flatMap(({ id, answer }) => {
      const placed = asking[id];
      return placed === undefined ? [] : [[placed, answer] as const];
    }),
  );
}

function namesOf(field: string, name: ObjectName | null): Readonly<Record<string, string | null>> {
  return name === null ? {} : { [`${field}Schema`]: name.schema, [field]: name.name };
}

function askedBy(question: Question | null): Readonly<Record<string, unknown>> {
  switch (question?.kind) {
    case "scan":
      return namesOf("index", question.index);
    case "type-change":
      return {
        column: question.column,
        array: question.type.array,
        ...namesOf("type", question.type),
      };
    case "not-null":
      return { column: question.column };
    case "extension":
      return { extension: question.name };
    case "volatility":
      return namesOf("routine", question.routine);
    default:
      return {};
  }
}

/**
 * Has PostgreSQL's own operators and types win over namesakes in a schema that stands ahead of them in the search path. The
 * path stays the same otherwise: names of tables are looked up along it.
 */
const OURS_FIRST = `
  select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog', case
    when pg_catalog.length(path) operator(pg_catalog.>) 0 then path end), true)
  from pg_catalog.current_setting('search_path') as path`;

/**
 * Returns the statement that answers one row for each finding. It looks names up as PostgreSQL would find them,
 * without `to_regclass`, which raises 42501 for a schema that is closed to us.
 */
function catalogQuestion(asked: string): string {
  return `
with asked as (
  select * from pg_catalog.jsonb_to_recordset(${quoteLiteral(asked)}::pg_catalog.jsonb) as a(
    "id" int, "tableSchema" text, "table" text, "indexSchema" text, "index" text, "column" text,
    "typeSchema" text, "type" text, "array" boolean, "extension" text, "routineSchema" text, "routine" text)
), placed as (
  select a.*, coalesce(
    (select i.indrelid from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_index i on i.indexrelid = c.oid
      where c.relname = a."index"
        and case when a."indexSchema" is null then pg_catalog.pg_table_is_visible(c.oid) else n.nspname = a."indexSchema" end
      limit 1),
    (select c.oid from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relname = a."table" and c.relkind in ('r', 'p')
        and case when a."tableSchema" is null then pg_catalog.pg_table_is_visible(c.oid) else n.nspname = a."tableSchema" end
      limit 1)
  ) as relation,
    (select case when a."array" then t.typarray else t.oid end from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      where t.typname = a."type"
        and case when a."typeSchema" is null then pg_catalog.pg_type_is_visible(t.oid) else n.nspname = a."typeSchema" end
      limit 1) as newtype
  from asked a
), tables as (
  select r.relation,
    pg_catalog.pg_table_size(r.relation) + coalesce(parts.bytes, 0) as bytes,
    pg_catalog.pg_relation_size(r.relation) + coalesce(parts.heap, 0) as heap,
    coalesce(nullif(coalesce(parts.tuples, greatest(c.reltuples, 0)), 0), s.n_live_tup) as tuples,
    case when c.relkind = 'p' then null else coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0) end as scans,
    c.relkind = 'p' as partitioned, locks.sessions, locks.writers
  from (select distinct relation from placed where relation is not null) r
  join pg_catalog.pg_class c on c.oid = r.relation
  left join pg_catalog.pg_stat_all_tables s on s.relid = r.relation
  left join lateral (
    select pg_catalog.sum(pg_catalog.pg_table_size(p.relid)) as bytes, pg_catalog.sum(pg_catalog.pg_relation_size(p.relid)) as heap,
      pg_catalog.sum(greatest(pc.reltuples, 0)) filter (where p.isleaf) as tuples
    from pg_catalog.pg_partition_tree(r.relation) p join pg_catalog.pg_class pc on pc.oid = p.relid
    where p.relid <> r.relation
  ) parts on true
  cross join lateral (
    select pg_catalog.count(distinct l.pid) as sessions,
      pg_catalog.count(distinct l.pid) filter (where l.mode <> 'AccessShareLock') as writers
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.relation = r.relation and l.pid <> pg_catalog.pg_backend_pid()
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  ) locks
)
select p."id",
  case when t.relation is not null then pg_catalog.jsonb_build_object(
    'bytes', t.bytes, 'partitioned', t.partitioned, 'empty', t.heap = 0, 'rows', t.tuples, 'sessions', t.sessions, 'writers', t.writers,
    'scans', t.scans) end as "table",
  case when col.attrelid is not null then pg_catalog.jsonb_build_object(
    'type', ty.typname, 'typeSchema', tn.nspname, 'modifier', col.atttypmod,
    'sqlType', pg_catalog.format_type(col.atttypid, col.atttypmod), 'notNull', col.attnotnull,
    'provenBy', (
      select k.conname from pg_catalog.pg_constraint k
      where k.conrelid = p.relation and k.contype = 'c' and k.convalidated and k.conkey operator(pg_catalog.@>) array[col.attnum]
        and position(pg_catalog.format('(%I IS NOT NULL)', p."column") in pg_catalog.pg_get_expr(k.conbin, k.conrelid)) > 0
        and pg_catalog.pg_get_expr(k.conbin, k.conrelid) !~ ' OR |CASE |NOT \\('
      limit 1),
    'indexes', (select pg_catalog.count(*) from pg_catalog.pg_index i
      where i.indrelid = p.relation and col.attnum operator(pg_catalog.=) any (i.indkey)),
    'binaryCoercible', exists (select from pg_catalog.pg_cast x
      where x.castsource = col.atttypid and x.casttarget = p.newtype and x.castmethod = 'b'),
    'sameType', coalesce(col.atttypid = p.newtype, false),
    'utc', pg_catalog.current_setting('TimeZone') in ('UTC', 'GMT', 'Etc/UTC', 'Etc/GMT', 'Zulu')) end as "column",
  case when p."extension" is not null then exists (
    select from pg_catalog.pg_available_extensions e where e.name = p."extension") end as "extensionAvailable",
  (select pg_catalog.bool_or(f.provolatile = 'v') from pg_catalog.pg_proc f
    join pg_catalog.pg_namespace n on n.oid = f.pronamespace
    where f.proname = p."routine"
      and case when p."routineSchema" is null then pg_catalog.pg_function_is_visible(f.oid) else n.nspname = p."routineSchema" end
  ) as "volatile"
from placed p
left join tables t on t.relation = p.relation
left join pg_catalog.pg_attribute col
  on col.attrelid = p.relation and col.attname = p."column" and not col.attisdropped and col.attnum > 0
left join pg_catalog.pg_type ty on ty.oid = col.atttypid
left join pg_catalog.pg_namespace tn on tn.oid = ty.typnamespace
order by p."id"`;
}

function readAnswers(
  rows: Rows,
): readonly { readonly id: number; readonly answer: CatalogAnswer }[] {
  // The statement above made these rows; their shape is ours.
  return (rows as unknown as readonly (CatalogAnswer & { readonly id: number })[]).map(
    ({ id, ...answer }) => ({
      id,
      answer,
    }),
  );
}

import type { Rows } from "../connection/connection.ts";
import type { RelationKind } from "../report/rehearsed.ts";
import type { LedgerPlace } from "../target/target.ts";

/** A relation that existed before the rehearsal. */
export interface Relation {
  /** Its name in pg_class, as decimal digits. */
  readonly oid: string;
  /** `schema.name`, unquoted. */
  readonly name: string;
  readonly kind: RelationKind;
  /** The table of an index, as `schema.name`; null for everything else. */
  readonly table: string | null;
  /** The number of its file; null where it has none. It changes where PostgreSQL writes the whole relation anew. */
  readonly filenode: string | null;
  /** Its size on disk with TOAST, in bytes, without its indexes. */
  readonly bytes: number;
  /** PostgreSQL's estimate of its rows; null where it has none. */
  readonly rows: number | null;
  /** The oid of the table that an index is of, or that a sequence counts for; null for everything else. */
  readonly owner: string | null;
  /**
   * The way in which a statement about it comes to other relations: by foreign keys only, or otherwise (partitions, triggers,
   * rules, policies, a default from a sequence that belongs to none of its columns; and whatever is no table). Null: by none.
   */
  readonly connected: "by-keys" | "otherwise" | null;
}

/** The code of users that a statement may run. */
export interface Code {
  /** Whether there are functions that may lock whatever they want. Those of triggers do not count. */
  readonly functions: boolean;
  readonly eventTriggers: boolean;
}

/** The relations of before, by their oid. */
export type Relations = ReadonlyMap<string, Relation>;

/** The first oid that PostgreSQL gives to what users make (`FirstNormalObjectId` in `access/transam.h`). */
export const FIRST_USER_OID = 16_384;

/** With more tables the size is PostgreSQL's own estimate: on Neon each question for a size goes to another server. */
const MOST_ASKED = 1_000;

const KINDS: Readonly<Record<string, RelationKind>> = {
  r: "table",
  p: "table",
  v: "view",
  m: "materialized view",
  i: "index",
  I: "index",
  S: "sequence",
  f: "foreign table",
};

const CONNECTED = ["by-keys", "otherwise"] as const;

/** The question for the size of the database, whether our role may ask for the position in the log, and the code of users. */
export const FACTS_QUESTION: string = `
  select pg_catalog.pg_database_size(pg_catalog.current_database())::pg_catalog.float8 as "bytes",
    pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_insert_lsn()', 'EXECUTE') as "readsWal",
    exists (select from pg_catalog.pg_event_trigger where evtenabled operator(pg_catalog.<>) 'D') as "eventTriggers",
    exists (
      select from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
      where p.oid operator(pg_catalog.>=) ${FIRST_USER_OID} and p.provolatile operator(pg_catalog.=) 'v'
        and l.lanname operator(pg_catalog.<>) all ('{c,internal}'::pg_catalog.name[])
        and p.prorettype operator(pg_catalog.<>) all ('{trigger,event_trigger}'::pg_catalog.regtype[]::pg_catalog.oid[])
        and not exists (
          select from pg_catalog.pg_depend d where d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.objid operator(pg_catalog.=) p.oid and d.deptype operator(pg_catalog.=) 'e'
        )
    ) as "functions"`;

/** The facts about a database that its observer needs. */
export interface ObserverFacts {
  readonly code: Code;
  /** Whether the role may ask for the position in the write-ahead log. */
  readonly readsWal: boolean;
}

/** Reads the answer to `FACTS_QUESTION`. */
export function readFacts([facts = {}]: Rows): ObserverFacts & { readonly bytes: number } {
  return {
    code: { functions: facts.functions === true, eventTriggers: facts.eventTriggers === true },
    readsWal: facts.readsWal === true,
    bytes: Number(facts.bytes ?? 0),
  };
}

/** The question for all relations that users have made, TOAST left out. */
export const RELATIONS_QUESTION: string = `
  select c.oid::pg_catalog.text as "oid", n.nspname as "schema", c.relname as "name", c.relkind::pg_catalog.text as "kind",
    pg_catalog.pg_relation_filenode(c.oid)::pg_catalog.text as "filenode",
    case when c.reltuples operator(pg_catalog.>=) 0 then c.reltuples::pg_catalog.float8 end as "rows",
    case when (select pg_catalog.count(*) from pg_catalog.pg_class where oid operator(pg_catalog.>=) ${FIRST_USER_OID} and relkind operator(pg_catalog.=) 'r') operator(pg_catalog.<=) ${MOST_ASKED}
      then pg_catalog.pg_table_size(c.oid)
      else c.relpages::pg_catalog.int8 operator(pg_catalog.*) pg_catalog.current_setting('block_size')::pg_catalog.int8
    end::pg_catalog.float8 as "bytes",
    tn.nspname as "tableSchema", t.relname as "tableName",
    coalesce(t.oid, (
      select d.refobjid from pg_catalog.pg_depend d
      where c.relkind operator(pg_catalog.=) 'S' and d.objid operator(pg_catalog.=) c.oid and d.refobjsubid operator(pg_catalog.>) 0
        and d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.deptype operator(pg_catalog.=) any ('{a,i}'::pg_catalog."char"[]) limit 1
    ))::pg_catalog.text as "owner",
    case
      when c.relkind operator(pg_catalog.<>) 'r' or c.relispartition or c.relhassubclass or c.relhasrules or c.relrowsecurity
        or exists (select from pg_catalog.pg_trigger g where g.tgrelid operator(pg_catalog.=) c.oid and not g.tgisinternal)
        or exists (
          select from pg_catalog.pg_attrdef a
          join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid operator(pg_catalog.=) a.oid
            and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
          join pg_catalog.pg_class s on s.oid operator(pg_catalog.=) d.refobjid and s.relkind operator(pg_catalog.=) 'S'
          where a.adrelid operator(pg_catalog.=) c.oid and not exists (
            select from pg_catalog.pg_depend o where o.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
              and o.objid operator(pg_catalog.=) s.oid and o.refobjid operator(pg_catalog.=) c.oid and o.deptype operator(pg_catalog.=) any ('{a,i}'::pg_catalog."char"[])
          )
        ) then 'otherwise'
      when c.relhastriggers then 'by-keys'
    end as "connected"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
  left join pg_catalog.pg_index i on i.indexrelid operator(pg_catalog.=) c.oid
  left join pg_catalog.pg_class t on t.oid operator(pg_catalog.=) i.indrelid
  left join pg_catalog.pg_namespace tn on tn.oid operator(pg_catalog.=) t.relnamespace
  where c.oid operator(pg_catalog.>=) ${FIRST_USER_OID} and n.nspname operator(pg_catalog.<>) 'pg_toast'
    and c.relkind operator(pg_catalog.=) any ('{r,p,v,m,i,I,S,f}'::pg_catalog."char"[])`;

/**
 * Reads the answer to `RELATIONS_QUESTION`.
 * @param ledger its own tables, and those beside it that are ours, are left out: nobody waits for these
 */
export function readRelations(rows: Rows, ledger: LedgerPlace): Relations {
  const found = rows.flatMap((row) => relationOf(row, ledger) ?? []);
  return new Map(found.map((relation) => [relation.oid, relation]));
}

function relationOf(row: Rows[number], ledger: LedgerPlace): Relation | null {
  const text = (key: string) => (row[key] == null ? null : String(row[key]));
  const number = (key: string) => (row[key] == null ? null : Number(row[key]));
  const [kind, tableName] = [KINDS[String(row.kind)], text("tableName")];
  const own = { schema: String(row.schema), name: String(row.name) };
  const table = tableName === null ? null : { schema: String(row.tableSchema), name: tableName };
  if (kind === undefined || isOurs(table ?? own, ledger)) return null;
  return {
    ...{ oid: String(row.oid), name: nameOf(own), kind },
    table: table === null ? null : nameOf(table),
    filenode: text("filenode"),
    bytes: number("bytes") ?? 0,
    rows: number("rows"),
    owner: text("owner"),
    connected: CONNECTED.find((way) => way === row.connected) ?? null,
  };
}

const nameOf = ({ schema, name }: { schema: string; name: string }) => `${schema}.${name}`;

/** Whether a table is the ledger, its sequence, or one that we have put beside it. */
function isOurs({ schema, name }: { schema: string; name: string }, ledger: LedgerPlace): boolean {
  return schema === ledger.schema && (name === ledger.table || name.startsWith(`${ledger.table}_`));
}

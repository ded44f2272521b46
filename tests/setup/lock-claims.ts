import type { Client } from "pg";
import { inject } from "vitest";
import type { Touched } from "../../lib/bundle/bundle.ts";
import { type LockMode, strongerLock } from "../../lib/postgres/locks.ts";

/** Relations by their object ids. */
export type Catalog = ReadonlyMap<number, { readonly name: string; readonly kind: string }>;

/** The kinds of relations of which each lock counts. */
export const TABLE_KINDS: readonly string[] = ["r", "p", "v", "m", "f"];

/** Reads the relations of `LOCK_SCHEMA`. */
export async function readCatalog(client: Client): Promise<Catalog> {
  const { rows } = await client.query(
    `select c.oid::int as id, c.oid::regclass::text as name, relkind as kind
     from pg_class c join pg_namespace n on n.oid = relnamespace where nspname in ('public', 'apart')`,
  );
  return new Map(rows.map(({ id, name, kind }) => [id, { name, kind }]));
}

/** What a kind that names no relation itself leads to: a query with the name as `$1`. */
const LINKS: Readonly<Record<string, string>> = {
  "table-of-index": "select indrelid from pg_index where indexrelid = $1::regclass",
  "tables-of-constraint":
    "select unnest(array[conrelid, confrelid]) from pg_constraint where conname = $1",
  "tables-linked-by-foreign-key": `
    select unnest(array[conrelid, confrelid]) from pg_constraint
    where contype = 'f' and $1::regclass in (conrelid, confrelid)`,
  "tables-referencing": "select conrelid from pg_constraint where confrelid = $1::regclass",
  "parents-of-table": `
    select inhparent from pg_inherits where inhrelid = $1::regclass
    union select partdefid from pg_partitioned_table p join pg_inherits on inhparent = partrelid
    where inhrelid = $1::regclass`,
  "default-partition": "select partdefid from pg_partitioned_table where partrelid = $1::regclass",
  "tables-of-schema": "select oid from pg_class where relnamespace = $1::regnamespace",
  "table-of-statistics": "select stxrelid from pg_statistic_ext where stxname = $1",
  "tables-read-by-view": `
    select d.refobjid from pg_depend d join pg_rewrite r on r.oid = d.objid
    where r.ev_class = $1::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'`,
  "views-reading": `
    select r.ev_class from pg_depend d join pg_rewrite r on r.oid = d.objid
    where d.refobjid = $1::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'`,
  "tables-with-type": "select attrelid from pg_attribute where atttypid = $1::regtype",
};

/** The relations that a statement is said to lock, by name, each with its strongest lock. */
export async function claimed(
  client: Client,
  catalog: Catalog,
  touches: readonly Touched[],
): Promise<Map<string, LockMode>> {
  const found = new Map<string, LockMode>();
  for (const touched of touches) {
    const { lock } = touched;
    if (lock === undefined) continue;
    for (const relation of await relationsOf(client, catalog, touched)) {
      found.set(relation, strongerLock(found.get(relation) ?? null, lock) ?? lock);
    }
  }
  return found;
}

async function relationsOf(
  client: Client,
  catalog: Catalog,
  { kind, schema, name }: Touched,
): Promise<readonly string[]> {
  const full = schema === null ? name : `${schema}.${name}`;
  const link = LINKS[kind];
  if (link === undefined) return [full];
  const { rows } = await client.query({ text: link, values: [full], rowMode: "array" });
  return rows.flatMap(([id]) => catalog.get(id)?.name ?? []);
}

/** The PostgreSQL that knows a statement, or takes the lock on it, first. */
const SINCE: Readonly<Record<string, number>> = {
  "SET EXPRESSION": 17,
  "ADD NOT NULL … NOT VALID": 18,
  "SET ACCESS METHOD": 15,
  "ALTER VIEW … SET": 15,
  "GRANT, REVOKE": 18,
  MERGE: 15,
};

/** Whether the server of the tests knows a sample's statement. */
export const isKnown = ([name]: readonly [string, string]): boolean =>
  (SINCE[name] ?? 0) <= inject("postgresMajor");

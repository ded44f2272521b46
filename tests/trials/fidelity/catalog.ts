import { CATALOG_QUERIES } from "./catalog-queries.ts";
import type { Session } from "./session.ts";

/** A database by its facts: each has a name, which says its kind first, and a definition. */
export type Facts = ReadonlyMap<string, string>;

/** The tables that we keep beside the ledger; Drizzle has none. */
const OURS = /__drizzle_migrations_(?:checkpoints|history)/;

/**
 * Everything that the catalogs of a database say of what is not PostgreSQL's own or an extension's.
 * Object ids are left out, and so is the order of creation where nobody can see it.
 */
export async function readCatalog(session: Session): Promise<Facts> {
  const facts = new Map<string, string>();
  // Definitions spell a name with its schema only where the search path does not find it.
  await session.sql("set search_path = pg_catalog");
  for (const [kind, query] of Object.entries(CATALOG_QUERIES)) {
    for (const { name, value } of await session.sql(query)) {
      if (!OURS.test(String(name))) facts.set(`${kind} ${name}`, String(value));
    }
  }
  await session.sql("reset search_path");
  return facts;
}

/**
 * What the tables hold: how many rows each has, and for each column a digest of its values, whatever their
 * order; and where each sequence stands. The ledger is read on its own.
 */
export async function readContents(session: Session): Promise<Facts> {
  const facts = new Map<string, string>();
  for (const { table, columns } of await session.sql(TABLES)) {
    const digests = columnsOf(columns).map(
      (column) =>
        `md5(coalesce(string_agg(md5(${column}::text), '' order by md5(${column}::text)), ''))`,
    );
    const [row = {}] = await session.sql(
      `select count(*)::text as n, array[${digests.join(", ")}]::text[] as digests from ${table}`,
    );
    facts.set(`rows of ${table}`, String(row.n));
    for (const [index, column] of columnsOf(columns).entries()) {
      facts.set(`contents of ${table}.${column}`, String(columnsOf(row.digests)[index]));
    }
  }
  for (const { name, value } of await session.sql(SEQUENCES)) {
    facts.set(`sequence value ${name}`, String(value));
  }
  return facts;
}

function columnsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

const OWN = `
  n.nspname !~ '^(pg_|information_schema$)' and n.nspname || '.' || c.relname !~ '__drizzle_migrations'
  and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
`;

const TABLES = `
  select format('%I.%I', n.nspname, c.relname) as table,
    array(
      select quote_ident(a.attname) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where (c.relkind = 'r' or c.relkind = 'm' and c.relispopulated) and ${OWN}
  order by 1
`;

const SEQUENCES = `
  select format('%I.%I', n.nspname, c.relname) as name, coalesce(pg_sequence_last_value(c.oid)::text, 'unused') as value
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and ${OWN}
`;

import type { Migration } from "./bundle.ts";
import type { LedgerPlace } from "./config.ts";
import type { Connection } from "./connection.ts";
import { MigratorError } from "./errors.ts";
import {
  chooseHome,
  deniedRead,
  type FoundLedger,
  type Home,
  type Ledger,
  type LedgerRow,
  type WritePlace,
} from "./ledger-home.ts";
import type { Sending } from "./pipeline.ts";
import { quoteIdentifier, quotePlace } from "./quote.ts";

/** Where the ledger goes when its own schema cannot be created. */
const FALLBACK_SCHEMA = "public";

/**
 * Looks at both homes, through the catalog: `to_regclass` and the table itself raise 42501 where the
 * schema is closed to us, and a question must not fail.
 */
const PROBE = `
  select
    h.schema as "schema",
    $2::text as "table",
    n.oid is not null as "schemaExists",
    c.oid is not null as "tableExists",
    has_database_privilege(current_database(), 'CREATE') as "mayCreateSchema",
    coalesce(has_schema_privilege(n.oid, 'CREATE'), false) as "mayCreateTable",
    coalesce(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT'), false) as "mayRead",
    coalesce(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'INSERT'), false) and not exists (
      select from pg_catalog.pg_depend d
      join pg_catalog.pg_class s on s.oid = d.objid
      where d.refobjid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'
        and case when s.relkind = 'S' then not has_sequence_privilege(s.oid, 'USAGE') else false end
    ) as "mayInsert",
    array(
      select a.attname::text from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as "columns"
  from unnest($1::text[]) with ordinality as h(schema, rank)
  left join pg_catalog.pg_namespace n on n.nspname = h.schema
  left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = $2::text and c.relkind in ('r', 'p')
  order by h.rank
`;

/**
 * Finds the ledger and reads it. Writes nothing.
 * @throws MigratorError `LEDGER_DENIED`, `LEDGER_SPLIT`, `LEDGER_UNKNOWN_FORMAT`
 */
export async function readLedger(connection: Connection, configured: LedgerPlace): Promise<Ledger> {
  const schemas = [...new Set([configured.schema, FALLBACK_SCHEMA])];
  const homes = await connection.query<Home>(PROBE, [schemas, configured.table]);
  const found: FoundLedger[] = [];
  for (const home of homes.filter(({ tableExists }) => tableExists)) {
    if (!home.mayRead) throw deniedRead(home, connection.database.role);
    found.push({ home, rows: await readRows(connection, home) });
  }
  return chooseHome(homes, found);
}

async function readRows(connection: Connection, home: Home): Promise<readonly LedgerRow[]> {
  const missing = ["id", "hash", "created_at"].filter((column) => !home.columns.includes(column));
  if (missing.length > 0) {
    throw new MigratorError(
      "LEDGER_UNKNOWN_FORMAT",
      `The table ${quotePlace(home)} is not a Drizzle ledger: it has no column ${missing.join(", ")}. Set LEDGER_SCHEMA and LEDGER_TABLE to where drizzle.config.ts keeps it.`,
    );
  }
  const name = home.columns.includes("name") ? "name" : "null";
  const rows = await connection.query<{
    id: number;
    hash: string;
    when: string | null;
    name: string | null;
  }>(`
    select id::int as "id", hash::text as "hash", created_at::text as "when", ${name}::text as "name"
    from ${quotePlace(home)} order by id
  `);
  return rows.map((row) => ({ ...row, when: row.when === null ? null : Number(row.when) }));
}

/**
 * What creates that which `chooseWritePlace` found missing: the table exactly as Drizzle 0.45 creates it.
 */
export function createLedgerStatements(target: WritePlace): readonly string[] {
  const schema = `create schema if not exists ${quoteIdentifier(target.place.schema)}`;
  const table = `
    create table if not exists ${quotePlace(target.place)} (
      id serial primary key,
      hash text not null,
      created_at bigint
    )
  `;
  return [...(target.createSchema ? [schema] : []), ...(target.createTable ? [table] : [])];
}

/** What records one migration, with Drizzle's columns and Drizzle's values. */
export function ledgerRowInsert(
  place: LedgerPlace,
  { hash, when }: Migration,
): Sending & { values: string[] } {
  return {
    text: `insert into ${quotePlace(place)} ("hash", "created_at") values ($1::text, $2::bigint)`,
    values: [hash, String(when)],
  };
}

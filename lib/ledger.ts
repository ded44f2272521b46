import type { Layout, Migration } from "./bundle.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import type { LedgerPlace } from "./config.ts";
import type { Rows } from "./connection.ts";
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
import { quoteIdentifier, quoteLiteral, quotePlace } from "./quote.ts";

/** Where the ledger goes when its own schema cannot be created. */
const FALLBACK_SCHEMA = "public";

/** What every version of Drizzle's table has. */
const REQUIRED_COLUMNS = ["id", "hash", "created_at"];

/** A setting of our own, by which the block below hands over what it found. */
const ANSWER = "neon_migrate.ledger";

/**
 * The statements that find the ledger and read it, in one message. A table that may be missing cannot be
 * named in plain SQL without an error, hence the block; it writes nothing. The catalog is asked first:
 * `to_regclass` and the table itself raise 42501 where the schema is closed to us.
 */
export function ledgerQuestion(configured: LedgerPlace): readonly string[] {
  const schemas = [...new Set([configured.schema, FALLBACK_SCHEMA])].map(quoteLiteral).join(", ");
  const table = quoteLiteral(configured.table);
  const columns = REQUIRED_COLUMNS.map(quoteLiteral).join(", ");
  const checkpoints = quoteLiteral(checkpointPlace(configured).table);
  return [
    `
do $neon_migrate$
declare
  home record;
  found jsonb := '[]';
  rows jsonb;
  checkpoints jsonb;
begin
  for home in
    select
      h.schema as "schema",
      ${table}::text as "table",
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
      ) as "columns",
      k.oid is not null as "checkpointsExist",
      coalesce(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(k.oid, 'SELECT'), false)
        as "mayReadCheckpoints"
    from unnest(array[${schemas}]::text[]) with ordinality as h(schema, rank)
    left join pg_catalog.pg_namespace n on n.nspname = h.schema
    left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = ${table} and c.relkind in ('r', 'p')
    left join pg_catalog.pg_class k on k.relnamespace = n.oid and k.relname = ${checkpoints} and k.relkind in ('r', 'p')
    order by h.rank
  loop
    rows := null;
    if home."mayRead" and home."columns" @> array[${columns}] then
      execute format(
        'select coalesce(jsonb_agg(to_jsonb(r) order by r.id), ''[]'') from (
           select id::int as id, hash::text as hash, created_at::bigint as "when", %s::text as name from %I.%I) r',
        case when 'name' = any(home."columns") then 'name' else 'null' end, home."schema", home."table"
      ) into rows;
    end if;
    checkpoints := '[]';
    if home."mayReadCheckpoints" then
      execute format('select coalesce(jsonb_agg(to_jsonb(c)), ''[]'') from %I.%I c', home."schema", ${checkpoints})
      into checkpoints;
    end if;
    found := found || jsonb_build_array(
      to_jsonb(home) || jsonb_build_object('rows', rows, 'checkpoints', checkpoints)
    );
  end loop;
  perform set_config('${ANSWER}', found::text, false);
end
$neon_migrate$`,
    `select current_setting('${ANSWER}')::jsonb as "homes"`,
    `select set_config('${ANSWER}', '', false)`,
  ];
}

/** What the block answers for one place. */
interface Answer extends Home {
  /** Null where there is no ledger, or none that can be read. */
  readonly rows: readonly LedgerRow[] | null;
  readonly checkpoints: readonly Checkpoint[];
}

/** Every place that was looked at, and the ledgers that were found there. */
export interface Places {
  /** The configured place first. */
  readonly homes: readonly Home[];
  readonly found: readonly FoundLedger[];
}

/**
 * Reads the answer to `ledgerQuestion`.
 * @param results the rows of its statements, in order
 * @param role for the GRANTs in an error
 * @throws MigratorError `LEDGER_DENIED`, `LEDGER_UNKNOWN_FORMAT`
 */
export function readPlaces(results: readonly Rows[], role: string): Places {
  const answers = results[1]?.[0]?.homes;
  // The block above made this value; its shape is ours.
  const homes = answers as readonly Answer[] | undefined;
  if (homes === undefined) throw new Error("The question for the ledger was not answered.");
  const found = homes.filter(({ tableExists }) => tableExists).map((home) => foundAt(home, role));
  return { homes, found };
}

/**
 * Reads the answer to `ledgerQuestion` and says which ledger counts.
 * @param layout of the bundle: says which format a ledger gets that does not exist yet
 * @throws MigratorError as `readPlaces`, and `LEDGER_SPLIT`
 */
export function readLedger(results: readonly Rows[], role: string, layout: Layout): Ledger {
  const { homes, found } = readPlaces(results, role);
  return chooseHome(homes, found, layout);
}

function foundAt({ rows, checkpoints, ...home }: Answer, role: string): FoundLedger {
  if (!home.mayRead || (home.checkpointsExist && !home.mayReadCheckpoints)) {
    throw deniedRead(home, role);
  }
  if (rows !== null) return { home, rows, checkpoints };
  const missing = REQUIRED_COLUMNS.filter((column) => !home.columns.includes(column));
  throw new MigratorError(
    "LEDGER_UNKNOWN_FORMAT",
    `The table ${quotePlace(home)} is not a Drizzle ledger: it has no column ${missing.join(", ")}. Set LEDGER_SCHEMA and LEDGER_TABLE to where drizzle.config.ts keeps it.`,
  );
}

/** What creates that which `chooseWritePlace` found missing: the table exactly as Drizzle creates it. */
export function createLedgerStatements(target: WritePlace): readonly string[] {
  const schema = `create schema if not exists ${quoteIdentifier(target.place.schema)}`;
  const named = ", name text, applied_at timestamp with time zone default now()";
  const table = `
    create table if not exists ${quotePlace(target.place)} (
      id serial primary key,
      hash text not null,
      created_at bigint${target.format === "1.0" ? named : ""}
    )
  `;
  return [...(target.createSchema ? [schema] : []), ...(target.createTable ? [table] : [])];
}

/**
 * What records one migration, with Drizzle's columns and Drizzle's values. A row without a name in a 1.0
 * ledger would make Drizzle 1.0 run the migration again.
 */
export function ledgerRowInsert(
  { place, format }: Pick<WritePlace, "place" | "format">,
  { hash, when, name }: Migration,
): Sending {
  const columns = format === "1.0" ? `"hash", "created_at", "name"` : `"hash", "created_at"`;
  const parameters = format === "1.0" ? "$1::text, $2::bigint, $3::text" : "$1::text, $2::bigint";
  return {
    text: `insert into ${quotePlace(place)} (${columns}) values (${parameters})`,
    values: [hash, String(when), ...(format === "1.0" ? [name] : [])],
  };
}

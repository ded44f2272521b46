import type { Rows } from "../connection/connection.ts";
import { FALLBACK_SCHEMA, placeBeside } from "../ledger/place.ts";
import { quoteLiteral } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";

/** A place where the table of runs can be, and what our role may do there. */
export interface RunsHome extends LedgerPlace {
  readonly schemaExists: boolean;
  readonly exists: boolean;
  /** The table, in a schema that exists; or the schema, where it does not. */
  readonly mayCreate: boolean;
  readonly mayRead: boolean;
  readonly mayWrite: boolean;
}

/** The table of runs stands beside the ledger. */
export function runsPlace(ledger: LedgerPlace): LedgerPlace {
  return placeBeside(ledger, "runs");
}

/** Asks the catalog, and takes no lock but its own: one row for each place, first where the ledger is. */
export function runsQuestion(ledger: LedgerPlace): string {
  const schemas = [...new Set([ledger.schema, FALLBACK_SCHEMA])].map(quoteLiteral).join(", ");
  const table = quoteLiteral(runsPlace(ledger).table);
  const mayAll = ["INSERT", "UPDATE", "DELETE"]
    .map((right) => `has_table_privilege(r.oid, '${right}')`)
    .join(" and ");
  return `
    select
      h.schema as "schema", ${table}::text as "table",
      n.oid is not null as "schemaExists", r.oid is not null as "exists",
      case when n.oid is null then has_database_privilege(current_database(), 'CREATE')
        else has_schema_privilege(n.oid, 'CREATE') end as "mayCreate",
      coalesce(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(r.oid, 'SELECT'), false) as "mayRead",
      coalesce(has_schema_privilege(n.oid, 'USAGE') and ${mayAll}, false) as "mayWrite"
    from unnest(array[${schemas}]::text[]) with ordinality as h(schema, rank)
    left join pg_catalog.pg_namespace n on n.nspname = h.schema::name
    left join pg_catalog.pg_class l on l.relnamespace = n.oid and l.relname = ${quoteLiteral(ledger.table)}
      and l.relkind in ('r', 'p')
    left join pg_catalog.pg_class r on r.relnamespace = n.oid and r.relname = ${table} and r.relkind in ('r', 'p')
    order by l.oid is null, h.rank`;
}

/** Reads the answer to `runsQuestion`. */
export function readHomes(rows: Rows | undefined): readonly RunsHome[] {
  if (rows === undefined) throw new Error("The question for the table of runs was not answered.");
  // The statement above made these rows; their shape is ours.
  return rows as unknown as readonly RunsHome[];
}

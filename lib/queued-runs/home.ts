import type { Rows } from "../connection/connection.ts";
import { isBelieved } from "../ledger/owned.ts";
import { placeBeside, placesOf } from "../ledger/place.ts";
import { quoteLiteral } from "../postgres/names.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";

/** A place where the table of runs can be, and what our role may do there. */
export interface RunsHome extends LedgerPlace {
  readonly schemaExists: boolean;
  /** Whether anything has the name of the table. */
  readonly exists: boolean;
  /** Whether it is a table of a role that is believed. Any other could run code of its owner as ourselves. */
  readonly believed: boolean;
  /** The role that owns it; null where it does not exist. */
  readonly owner: string | null;
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
export function runsQuestion(ledger: ConfiguredLedger): string {
  const schemas = placesOf(ledger)
    .map(({ schema }) => quoteLiteral(schema))
    .join(", ");
  const table = quoteLiteral(runsPlace(ledger).table);
  const mayUse = `pg_catalog.has_schema_privilege(n.oid, 'USAGE') and ${isBelieved("r")}`;
  const mayAll = ["INSERT", "UPDATE", "DELETE"]
    .map((right) => `pg_catalog.has_table_privilege(r.oid, '${right}')`)
    .join(" and ");
  return `
    select
      h.schema as "schema", ${table}::pg_catalog.text as "table",
      n.oid is not null as "schemaExists", r.oid is not null as "exists",
      case when n.oid is null then pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
        else pg_catalog.has_schema_privilege(n.oid, 'CREATE') and pg_catalog.has_schema_privilege(n.oid, 'USAGE') end as "mayCreate",
      coalesce(${isBelieved("r")}, false) as "believed", pg_catalog.pg_get_userbyid(r.relowner)::pg_catalog.text as "owner",
      coalesce(${mayUse} and pg_catalog.has_table_privilege(r.oid, 'SELECT'), false) as "mayRead",
      coalesce(${mayUse} and ${mayAll}, false) as "mayWrite"
    from pg_catalog.unnest(array[${schemas}]::pg_catalog.text[]) with ordinality as h(schema, rank)
    left join pg_catalog.pg_namespace n on n.nspname operator(pg_catalog.=) h.schema::pg_catalog.name
    left join pg_catalog.pg_class l on l.relnamespace operator(pg_catalog.=) n.oid and l.relname operator(pg_catalog.=) ${quoteLiteral(ledger.table)}
      and l.relkind operator(pg_catalog.=) any ('{r,p}'::pg_catalog."char"[])
    left join pg_catalog.pg_class r on r.relnamespace operator(pg_catalog.=) n.oid and r.relname operator(pg_catalog.=) ${table}
    order by l.oid is null, h.rank`;
}

/** Reads the answer to `runsQuestion`. */
export function readHomes(rows: Rows | undefined): readonly RunsHome[] {
  if (rows === undefined) throw new Error("The question for the table of runs was not answered.");
  // The statement above made these rows; their shape is ours.
  return rows as unknown as readonly RunsHome[];
}

import type { Rows } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import { type ConfiguredLedger, DEFAULT_LEDGER, type LedgerPlace } from "../target/target.ts";
import { type Explaining, explainedRows } from "./explain.ts";
import { rowKey } from "./home.ts";
import { isBelieved } from "./owned.ts";
import { quotePlace } from "./place.ts";
import { jsonIn } from "./read.ts";

/*
 * Elsewhere: the search for a ledger that the settings do not name. It is made only where the ledger that they name has no
 * migration of the bundle. A table is a candidate by its columns and its owner; its rows decide.
 */

/** No ledger has so many bytes. A bigger table is an application's, and is not read. */
const MAX_BYTES = 4_000_000;

/** The types in which Drizzle, or a copy of its table, has its columns. An application has other times, mostly. */
const COLUMNS = `values ('id', '{int2,int4,int8}'::pg_catalog.regtype[]),
  ('hash', '{text,varchar}'::pg_catalog.regtype[]), ('created_at', '{int8,numeric}'::pg_catalog.regtype[])`;

/** Returns the statement that finds every table with a ledger's columns, and reads those that our role may read. */
export function elsewhereQuestion(): string {
  return `
    select f.schema as "schema", f.name as "table", f.open as "open",
      case when f.open and pg_catalog.pg_relation_size(f.oid) operator(pg_catalog.<) ${MAX_BYTES} then pg_catalog.query_to_xml(
        pg_catalog.format('select pg_catalog.json_agg(r) as rows from (select t.hash, t.created_at %s from %I.%I as t) as r',
          case when f.named then ', t.name' end, f.schema, f.name), false, true, '') end as "rows"
    from (
      select c.oid, n.nspname as schema, c.relname as name,
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
          and not pg_catalog.row_security_active(c.oid) as open,
        exists (${columnOf("'name'", "'{text,varchar}'::pg_catalog.regtype[]")}) as named
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
      where ${isBelieved("c")} and not exists (
        select from (${COLUMNS}) as w(name, types) where not exists (${columnOf("w.name", "w.types")})
      )
      offset 0
    ) as f
    order by 1, 2`;
}

function columnOf(name: string, types: string): string {
  return `
    select from pg_catalog.pg_attribute a
    where a.attrelid operator(pg_catalog.=) c.oid and a.attname operator(pg_catalog.=) ${name}::pg_catalog.name
      and a.atttypid operator(pg_catalog.=) any (${types}) and not a.attisdropped`;
}

/** The answer for one table. */
interface Answer extends LedgerPlace {
  /** Whether our role may read it, and sees all of its rows. */
  readonly open: boolean;
  /** Null for a table that was not read. */
  readonly rows: string | null;
}

/**
 * Reads the answer to `elsewhereQuestion`. A part of the ledger's name that the caller gave is the ledger's: one folder may
 * have a ledger for each tenant.
 * @returns a warning for each table that may be the ledger and cannot be read
 * @throws MigratorError `LEDGER_ELSEWHERE`
 */
export function readElsewhere(
  rows: Rows,
  configured: ConfiguredLedger,
  bundle: Explaining,
): readonly Warning[] {
  // `elsewhereQuestion` made these rows; their shape is ours.
  const answers = (rows as unknown as readonly Answer[]).filter((each) => mayBe(each, configured));
  const found = answers
    .map((each) => ({ place: each, count: explainedIn(each, bundle) }))
    .filter(({ count }) => count > 0)
    .sort((one, other) => other.count - one.count);
  const [first] = found;
  if (first !== undefined) {
    throw elsewhere(first.place, found, configured, bundle.migrations.length);
  }
  return answers.filter(({ open }) => !open).map(closed);
}

function mayBe({ schema, table }: LedgerPlace, configured: ConfiguredLedger): boolean {
  const { named = configured.schema !== DEFAULT_LEDGER.schema } = configured;
  const isConfigured = schema === configured.schema && table === configured.table;
  const isTableNamed = configured.table !== DEFAULT_LEDGER.table;
  return (
    !isConfigured &&
    (!named || schema === configured.schema) &&
    (!isTableNamed || table === configured.table)
  );
}

/** Returns the number of migrations that the rows of a table explain. */
function explainedIn({ rows }: Answer, bundle: Explaining): number {
  const read = jsonIn(rows).map(({ hash, created_at: when, name }, id) => ({
    ...{ id, hash: String(hash), when: when === null ? null : Number(when) },
    name: typeof name === "string" ? name : null,
  }));
  return new Set(explainedRows(read, bundle).map(rowKey)).size;
}

function elsewhere(
  { schema, table }: LedgerPlace,
  found: readonly { readonly place: LedgerPlace; readonly count: number }[],
  configured: ConfiguredLedger,
  total: number,
): MigratorError {
  const places = found.map(
    ({ place, count }) => `${quotePlace(place)} has ${count} of these ${total} migrations`,
  );
  const settings = [JSON.stringify(schema), JSON.stringify(table)];
  return new MigratorError(
    "LEDGER_ELSEWHERE",
    `${places.join(", ")}, and the ledger of the settings, ${quotePlace(configured)}, has none. Nothing was run. If that is the ledger of this folder, name it: ledger: { schema: ${settings[0]}, table: ${settings[1]} } in the construct, LEDGER_SCHEMA=${schema} and LEDGER_TABLE=${table} in the environment, or --ledger-schema ${schema} --ledger-table ${table}. If it is the ledger of another project with the same files, name this project's own in the same way.`,
  );
}

function closed({ schema, table }: LedgerPlace): Warning {
  const place = quotePlace({ schema, table });
  return {
    code: "LEDGER_CLOSED",
    message: `The table ${place} has a ledger's columns, and this role may not read all of its rows, so nobody can tell whether it is the ledger of this folder. If it is, do not run this: name it (LEDGER_SCHEMA, LEDGER_TABLE), and as its owner grant usage on schema ${quoteIdentifier(schema)} and select, insert on ${place}.`,
  };
}

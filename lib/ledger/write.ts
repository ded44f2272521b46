import type { Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { WritePlace } from "./home.ts";
import { quotePlace } from "./place.ts";

/**
 * Returns the statements that create what `chooseWritePlace` found missing. The table is exactly as Drizzle creates
 * it.
 */
export function createLedgerStatements(target: WritePlace): readonly string[] {
  const schema = `create schema if not exists ${quoteIdentifier(target.place.schema)}`;
  const named =
    ", name pg_catalog.text, applied_at timestamp with time zone default pg_catalog.now()";
  const table = `
    create table if not exists ${quotePlace(target.place)} (
      id serial primary key,
      hash pg_catalog.text not null,
      created_at bigint${target.format === "1.0" ? named : ""}
    )
  `;
  return [...(target.createSchema ? [schema] : []), ...(target.createTable ? [table] : [])];
}

/**
 * Returns the statement that records one migration, with Drizzle's columns and values. A 1.0 ledger gets the name,
 * too: a row without it would make Drizzle 1.0 run the migration again.
 */
export function ledgerRowInsert(
  { place, format }: Pick<WritePlace, "place" | "format">,
  { hash, when, name }: Migration,
): Sending {
  const columns = format === "1.0" ? `"hash", "created_at", "name"` : `"hash", "created_at"`;
  const parameters =
    format === "1.0"
      ? "$1::pg_catalog.text, $2::bigint, $3::pg_catalog.text"
      : "$1::pg_catalog.text, $2::bigint";
  return {
    text: `insert into ${quotePlace(place)} (${columns}) values (${parameters})`,
    values: [hash, String(when), ...(format === "1.0" ? [name] : [])],
  };
}

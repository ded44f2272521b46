import type { LedgerPlace } from "./config.ts";

/** Writes an identifier so that PostgreSQL reads it as it stands. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The ledger's qualified name, quoted. */
export function quotePlace(place: LedgerPlace): string {
  return `${quoteIdentifier(place.schema)}.${quoteIdentifier(place.table)}`;
}

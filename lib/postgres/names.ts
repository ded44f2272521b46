import type { ObjectName } from "../bundle/bundle.ts";
import type { LedgerPlace } from "../target/config.ts";

/** Writes an identifier so that PostgreSQL reads it as it stands. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes a text as a literal, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** The ledger's qualified name, quoted. */
export function quotePlace(place: LedgerPlace): string {
  return `${quoteIdentifier(place.schema)}.${quoteIdentifier(place.table)}`;
}

/** An object's name, quoted, with its schema where it has one. */
export function quoteName({ schema, name }: ObjectName): string {
  const object = quoteIdentifier(name);
  return schema === null ? object : `${quoteIdentifier(schema)}.${object}`;
}

/** PostgreSQL cuts names at 63 bytes. */
const MAX_STEM_BYTES = 50;

/** The place of a table of our own beside the ledger, by the ledger's name. */
export function placeBeside({ schema, table }: LedgerPlace, suffix: string): LedgerPlace {
  const stem = Buffer.from(table).subarray(0, MAX_STEM_BYTES).toString();
  // A character that was cut in two has become U+FFFD.
  return { schema, table: `${stem.replace(/\uFFFD$/, "")}_${suffix}` };
}

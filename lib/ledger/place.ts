import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";

/** The schema of a ledger whose own schema cannot be created. The tables beside it follow. */
export const FALLBACK_SCHEMA = "public";

/** Returns the ledger's qualified name, quoted. */
export function quotePlace(place: LedgerPlace): string {
  return `${quoteIdentifier(place.schema)}.${quoteIdentifier(place.table)}`;
}

/** PostgreSQL cuts names at 63 bytes: the suffix needs the others. */
const MAX_STEM_BYTES = 50;

/** Returns the place of a table of our own beside the ledger, named after the ledger. */
export function placeBeside({ schema, table }: LedgerPlace, suffix: string): LedgerPlace {
  const stem = Buffer.from(table).subarray(0, MAX_STEM_BYTES).toString();
  // A character that was cut in two has become U+FFFD.
  return { schema, table: `${stem.replace(/\uFFFD$/, "")}_${suffix}` };
}

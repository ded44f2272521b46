import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";

/** The schema of the ledger where its own schema cannot be created; the tables beside it follow. */
export const FALLBACK_SCHEMA = "public";

/** The ledger's qualified name, quoted. */
export function quotePlace(place: LedgerPlace): string {
  return `${quoteIdentifier(place.schema)}.${quoteIdentifier(place.table)}`;
}

/** PostgreSQL cuts names at 63 bytes. */
const MAX_STEM_BYTES = 50;

/** The place of a table of our own beside the ledger, by the ledger's name. */
export function placeBeside({ schema, table }: LedgerPlace, suffix: string): LedgerPlace {
  const stem = Buffer.from(table).subarray(0, MAX_STEM_BYTES).toString();
  // A character that was cut in two has become U+FFFD.
  return { schema, table: `${stem.replace(/\uFFFD$/, "")}_${suffix}` };
}

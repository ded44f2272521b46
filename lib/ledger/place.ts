import { quoteIdentifier } from "../postgres/names.ts";
import { type ConfiguredLedger, DEFAULT_LEDGER, type LedgerPlace } from "../target/target.ts";

/**
 * The schema of a ledger whose own schema cannot be created, where the caller named none. The tables beside it follow.
 */
export const FALLBACK_SCHEMA = "public";

/** Returns every place where the ledger can be, the configured one first. */
export function placesOf({ schema, table, named }: ConfiguredLedger): readonly LedgerPlace[] {
  const alone = named ?? schema !== DEFAULT_LEDGER.schema;
  const configured = { schema, table };
  return alone ? [configured] : [configured, { schema: FALLBACK_SCHEMA, table }];
}

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

/** Returns the place of the history, beside the ledger. */
export function historyPlace(ledger: LedgerPlace): LedgerPlace {
  return placeBeside(ledger, "history");
}

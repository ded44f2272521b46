import type { Warning } from "../errors.ts";

/** The schema and table of a ledger, unquoted. */
export interface LedgerPlace {
  readonly schema: string;
  readonly table: string;
}

/** One database to run against: a value, so that a run against one knows nothing of the others. */
export interface Target {
  /** A `postgres://` connection string with its password. Never leaves the process. */
  readonly url: string;
  readonly relay: string | null;
  readonly ledger: LedgerPlace;
  readonly connectTimeoutMs: number;
  /** What is odd about the way the target was found; goes into the report. */
  readonly warnings: readonly Warning[];
}

/** Where Drizzle keeps its ledger unless it is told otherwise (drizzle-orm `pg-core/dialect`). */
export const DEFAULT_LEDGER: LedgerPlace = { schema: "drizzle", table: "__drizzle_migrations" };

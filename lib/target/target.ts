/*
 * Target: the database of a run. The environment comes in, and a target goes out: a connection string, read from its
 * secret, with the place of the ledger. Nothing here connects to a database.
 */

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
  /** Oddities of the settings that named the target, for the report. */
  readonly warnings: readonly Warning[];
}

/** Drizzle's own default for the place of its ledger (drizzle-orm `pg-core/dialect`). */
export const DEFAULT_LEDGER: LedgerPlace = { schema: "drizzle", table: "__drizzle_migrations" };

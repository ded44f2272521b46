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

/** The place of a ledger as the caller gave it. */
export interface ConfiguredLedger extends LedgerPlace {
  /**
   * Whether the caller named the schema. A named ledger is the ledger, alone: a run looks nowhere else. Without a name,
   * `public` is the place for a role that may not create schemas. Default: true for any schema but Drizzle's own.
   */
  readonly named?: boolean;
  /** Whether to keep the history beside it. Default: in a schema of the ledger's own; see `treatmentOf`. */
  readonly history?: boolean;
}

/** One database to run against: a value, so that a run against one knows nothing of the others. */
export interface Target {
  /** A `postgres://` connection string with its password. Never leaves the process. */
  readonly url: string;
  readonly relay: string | null;
  readonly ledger: ConfiguredLedger;
  readonly connectTimeoutMs: number;
  /** Time after which nobody waits for a host that has no name or refuses connections. Default: as long as for others. */
  readonly goneAfterMs?: number;
  /** Oddities of the settings that named the target, for the report. */
  readonly warnings: readonly Warning[];
}

/** Drizzle's own default for the place of its ledger (drizzle-orm `pg-core/dialect`). */
export const DEFAULT_LEDGER: LedgerPlace = { schema: "drizzle", table: "__drizzle_migrations" };

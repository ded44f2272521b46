/*
 * Ledger: the record of the applied migrations. The answers of a database come in, and a `Ledger` goes out as plain
 * data. The statements that write a ledger row or a checkpoint go out as text, for others to send. The lock keeps two
 * runs apart. Nothing here decides which migrations are pending, or applies one.
 */

import type { Layout } from "../bundle/bundle.ts";
import type { Warning } from "../errors.ts";
import type { LedgerPlace } from "../target/target.ts";
import type { Checkpoint } from "./checkpoints.ts";

/** The place of the ledger and its format. */
export interface LedgerFacts {
  readonly schema: string;
  readonly table: string;
  readonly format: "0.x" | "1.0";
}

/** The record of the applied migrations, as it was read. */
export interface Ledger {
  /** Its one home. Before the ledger exists: the place where Drizzle would create it. */
  readonly place: LedgerPlace;
  readonly exists: boolean;
  /** The set of its columns: `1.0` adds `name` and `applied_at`. */
  readonly format: Layout;
  /** The progress of the migrations that are begun and not complete. */
  readonly checkpoints: readonly Checkpoint[];
  /** In the order in which they were written; empty where it is complete. */
  readonly rows: readonly LedgerRow[];
  /**
   * Whether it has exactly one row for each migration of the bundle, no other, and no checkpoint. Then its rows were not read.
   * Default: false.
   */
  readonly isComplete?: boolean;
  /** Whether there is no ledger yet, and no table either: then nothing can be applied already. Default: false. */
  readonly isBlank?: boolean;
  readonly warnings: readonly Warning[];
  /** Whether the server would let Drizzle's migrator run its own `CREATE SCHEMA` and `CREATE TABLE`. */
  readonly mayBootstrap: boolean;
  /** Every place that was looked at, the configured one first. */
  readonly homes: readonly Home[];
}

/** One ledger row. */
export interface LedgerRow {
  readonly id: number;
  readonly hash: string;
  /** `created_at`: the journal's `when`, in epoch ms. Null only where somebody wrote it by hand. */
  readonly when: number | null;
  /** Null in the 0.x format. */
  readonly name: string | null;
  /** `applied_at`, as PostgreSQL writes it in JSON. Absent in the 0.x format, and where the row came from it. */
  readonly appliedAt?: string;
}

/** A place where a ledger can be, with the rights of our role there. */
export interface Home {
  readonly schema: string;
  readonly table: string;
  readonly schemaExists: boolean;
  /** Whether our role may use the schema: without that right most of the others are not known. */
  readonly mayUse: boolean;
  readonly tableExists: boolean;
  readonly mayCreateSchema: boolean;
  readonly mayCreateTable: boolean;
  readonly mayRead: boolean;
  readonly mayInsert: boolean;
  /** Whether our role may use the sequence of the ids. */
  readonly mayCount: boolean;
  /** Whether our role may lock the table against writers. */
  readonly mayLock: boolean;
  readonly columns: readonly string[];
  /** Whether it is a table of a role of ours. */
  readonly ours: boolean;
  /** Whether it is a table of a role that is believed: ours, the owner of the database, a superuser. */
  readonly believed: boolean;
  readonly checkpointsExist: boolean;
  readonly checkpointsBelieved: boolean;
  readonly mayReadCheckpoints: boolean;
  readonly mayWriteCheckpoints: boolean;
  /**
   * The table of the history: our role may read and write it (`open`), or not (`closed`). Null where there is none, or
   * `shared` where the schema, which has another name than Drizzle's, has tables of others.
   */
  readonly history: "open" | "closed" | "shared" | null;
}

/** A ledger table that exists, with its rows. */
export interface FoundLedger {
  readonly home: Home;
  readonly rows: readonly LedgerRow[];
  /** See `Ledger`. */
  readonly isComplete?: boolean;
  readonly checkpoints: readonly Checkpoint[];
  /**
   * The rows that a migration of the bundle explains: in the fallback place others may be another project's. Undefined
   * for the configured place, whose rows are all ours.
   */
  readonly explained?: readonly LedgerRow[];
}

/*
 * History: who applied what and when, and the state of a database before that. Facts of a run come in, and a row goes out
 * as a statement, which others send behind a ledger row. The answers of a database come in, and runs go out. Only the row
 * of a run that failed is sent from here. Nothing here decides what is pending, or stops a run.
 */

import type { Rows } from "../connection/connection.ts";
import { quoteLiteral } from "../postgres/names.ts";

/** The state of a database before the first write of a run. */
export interface RestorePoint {
  /** The position in the write-ahead log; null where the server does not tell it, as a replica. */
  readonly lsn: string | null;
  /** By the clock of the server, as ISO 8601 in UTC. */
  readonly time: string;
}

const LSN = "pg_catalog.pg_current_wal_insert_lsn()";

/**
 * Returns the statement that tells where in the log the database is. A replica has no such place, and the right to ask
 * can be revoked: PostgreSQL looks for that right even where a CASE leaves the function out, but not in a text that does
 * not run. The position behind the last insert has every commit before it, those that are not written out yet included.
 */
export function restorePointQuestion(): string {
  return `
    select
      case when not pg_catalog.pg_is_in_recovery() and pg_catalog.has_function_privilege(${quoteLiteral(LSN)}, 'EXECUTE')
        then pg_catalog.query_to_xml(${quoteLiteral(`select ${LSN} as lsn`)}, false, true, '') end as "lsn",
      pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "time"`;
}

/** Reads the answer to `restorePointQuestion`; null where there is none. */
export function readRestorePoint(rows: Rows | undefined): RestorePoint | null {
  const { lsn, time } = rows?.[0] ?? {};
  if (typeof time !== "string") return null;
  return { lsn: /[0-9A-F]+\/[0-9A-F]+(?=<)/.exec(String(lsn))?.[0] ?? null, time };
}

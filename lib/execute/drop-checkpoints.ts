import type { Layout } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { checkpointPlace } from "../ledger/checkpoints.ts";
import { FALLBACK_SCHEMA, quotePlace } from "../ledger/place.ts";
import { quoteLiteral } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";

/** Nobody waits longer for a table that may as well stay. */
const BRIEFLY = "set local lock_timeout = '100ms'";

/**
 * Whether `drizzle-kit push` and `pull` see the tables beside a ledger: those of 1.0 look into every schema, and all look into
 * `public`.
 */
export function isSeen({ schema }: LedgerPlace, layouts: readonly Layout[]): boolean {
  return schema === FALLBACK_SCHEMA || layouts.includes("1.0");
}

/**
 * Drops the table of checkpoints behind a run that needs none any more. It is ours alone while the lock of the run is. A table
 * that somebody was given rights to stays, because the next one would be without them; so does one that is in use.
 * @param place of the ledger
 */
export async function dropCheckpoints(connection: Connection, place: LedgerPlace): Promise<void> {
  const table = quotePlace(checkpointPlace(place));
  try {
    const [found] = await connection.query<{ readonly drops: boolean }>(`
      select c.relacl is null and pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user
        and not exists (select from ${table}) as drops
      from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) ${quoteLiteral(table)}::pg_catalog.regclass`);
    if (found?.drops === true) await connection.batch([BRIEFLY, `drop table ${table}`]);
  } catch {
    // Every migration is applied and recorded. The next run that applies something tries again.
  }
}

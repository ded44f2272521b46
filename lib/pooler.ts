import type { LedgerPlace } from "./config.ts";
import type { Connection } from "./connection.ts";
import { MigratorError } from "./errors.ts";
import { lockKey } from "./lock.ts";

/** How long the look from a second session may take before we do without it. */
const LOOK_TIMEOUT_MS = 5_000;

/** Neon's own hosts: their proxy makes process ids up, but a direct one is no pooler. */
const NEON_HOST = /\.neon\.(tech|build)$/;

/**
 * Refuses a transaction pooler between us and the server: it would hand our session, and the lock with
 * it, to others between two statements. A pooler gives itself away in two ways: our next statement runs
 * on a backend that does not hold the lock, or a second session gets the backend that is ours.
 * @throws MigratorError `POOLED_CONNECTION`
 */
export async function refusePooler(connection: Connection, place: LedgerPlace): Promise<void> {
  const genuine = connection.announcedPid === connection.backendPid;
  if (genuine || NEON_HOST.test(connection.database.host)) return;
  const [here] = await connection.query<{ holds: boolean }>(
    `
    select exists (
      select from pg_catalog.pg_locks
      where locktype = 'advisory' and granted and objsubid = 1 and pid = pg_backend_pid()
        and (classid::bigint << 32) | objid::bigint = $1::bigint
    ) and pg_backend_pid() = $2::int as "holds"
    `,
    [lockKey(place), connection.backendPid],
  );
  const other = await connection.beside(LOOK_TIMEOUT_MS, async (helper) => helper.backendPid);
  if (here?.holds === true && other !== connection.backendPid) return;
  throw new MigratorError(
    "POOLED_CONNECTION",
    `Between us and ${connection.database.host} stands a transaction pooler, through which a session lock protects nothing. Nothing was run. Use the direct host of the database in the connection string.`,
  );
}

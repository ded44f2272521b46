import { Client } from "pg";
import type { Rows } from "../../../local/postgres/admin.ts";

/** A superuser's session beside the runs. It comes back by itself when the server was restarted. */
export interface Watch {
  sql(text: string, values?: readonly unknown[]): Promise<Rows>;
  close(): Promise<void>;
}

/** Opens a session when it is first needed, and another one when that is lost. */
export function createWatch(url: string): Watch {
  let session: Client | null = null;
  const open = async (): Promise<Client> => {
    const client = new Client({ connectionString: url });
    const gone = () => {
      if (session === client) session = null;
    };
    client.on("error", gone);
    client.on("end", gone);
    await client.connect();
    session = client;
    return client;
  };
  return {
    sql: async (text, values = []) => {
      const client = session ?? (await open());
      const { rows } = await client.query(text, [...values]);
      return rows;
    },
    close: async () => {
      await session?.end();
    },
  };
}

/** Runs are known by their application name. */
const OF_RUNS = "a.datname = $1 and a.application_name like 'neon-migrate/%'";

/** The backends of all runs on a database. */
export async function sessionsOf(watch: Watch, database: string): Promise<readonly number[]> {
  const rows = await watch.sql(`select a.pid from pg_stat_activity a where ${OF_RUNS}`, [database]);
  return rows.map(({ pid }) => Number(pid));
}

/** Ends the backends of all runs on a database. Returns how many there were. */
export async function terminateRuns(watch: Watch, database: string): Promise<number> {
  const rows = await watch.sql(
    `select pg_terminate_backend(a.pid) from pg_stat_activity a where ${OF_RUNS}`,
    [database],
  );
  return rows.length;
}

/** Whether a run on a database waits for somebody's lock. */
export async function isBlocked(watch: Watch, database: string): Promise<boolean> {
  const rows = await watch.sql(
    `select from pg_stat_activity a where ${OF_RUNS} and a.wait_event_type = 'Lock'`,
    [database],
  );
  return rows.length > 0;
}

/** Which of these backends hold an advisory lock. */
export async function lockHolders(
  watch: Watch,
  pids: readonly number[],
): Promise<readonly number[]> {
  const rows = await watch.sql(
    "select pid from pg_locks where locktype = 'advisory' and granted and pid = any($1::int[])",
    [pids],
  );
  return rows.map(({ pid }) => Number(pid));
}

/** Sessions and advisory locks that are on a database while no run is under way, in words. */
export async function remains(watch: Watch, database: string): Promise<readonly string[]> {
  const rows = await watch.sql(
    `
    select 'session ' || a.application_name || ' ' || coalesce(a.state, '') || ': ' || left(a.query, 80) as what
    from pg_stat_activity a where ${OF_RUNS}
    union all
    select 'advisory lock of pid ' || l.pid
    from pg_locks l join pg_database d on d.oid = l.database
    where l.locktype = 'advisory' and d.datname = $1
    `,
    [database],
  );
  return rows.map(({ what }) => String(what));
}

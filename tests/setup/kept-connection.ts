import { Pool } from "pg";
import { type Rows, runOn } from "../../local/postgres/admin.ts";

/** The open connections, by connection string. Those to the run's own database end with the process. */
const pools = new Map<string, Pool>();

/**
 * Runs one text on a connection that stays open for the next one: a test that waits looks every few milliseconds. A text
 * must not leave a transaction or a setting behind.
 */
export async function runKept(
  url: string,
  text: string,
  values: readonly unknown[],
): Promise<Rows> {
  return await runOn(pools.get(url) ?? open(url), text, values);
}

/** Ends the connections that are kept for a connection string. */
export async function closeKept(url: string): Promise<void> {
  const pool = pools.get(url);
  pools.delete(url);
  await pool?.end();
}

function open(url: string): Pool {
  const pool = new Pool({ connectionString: url, idleTimeoutMillis: 0, allowExitOnIdle: true });
  // The server may end a connection at any time; the next text opens another one.
  pool.on("error", () => undefined);
  pools.set(url, pool);
  return pool;
}

import type { TestDatabase } from "./database.ts";
import { waitFor } from "./wait-for.ts";

/** Counts the advisory locks of all sessions in a database. */
export async function locksIn(database: TestDatabase): Promise<number> {
  const [row] = await database.sql(
    `select count(*)::int as n from pg_locks
     where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
  );
  return Number(row?.n);
}

/** Waits until nobody holds an advisory lock. A run's lock ends with its session, which a busy server may end late. */
export async function untilUnlocked(database: TestDatabase): Promise<void> {
  await waitFor(async () => (await locksIn(database)) === 0);
}

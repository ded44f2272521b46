import { type Admin, createAdmin, databaseUrl } from "../../../local/postgres/admin.ts";
import { startPostgres } from "../../../local/postgres/postgres.ts";
import { startRelay } from "../../../local/relay/relay.ts";

/** Where locks are tried: one database that grows, and copies of it in which every relation has the same oid. */
export interface LockStage {
  /** The address of the relay in front of the server. */
  readonly relay: string;
  /** A superuser's connection string for the database that grows. */
  readonly url: string;
  /** `server_version` of it. */
  readonly version: string;
  /** Empties the database that grows, and removes the roles that came since. */
  fresh(): Promise<void>;
  /**
   * Does work on a copy of the database, and drops it then, with the roles that the work has made: the next copy finds the
   * server as this one did.
   */
  copied<Result>(work: (copy: Copy) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** A copy of the database. */
export interface Copy {
  readonly url: string;
  /** Runs one statement on it, over a connection of its own. */
  sql(text: string): ReturnType<Admin["sql"]>;
}

const [GROWS, COPY] = ["locks", "locks_copy"];

/**
 * @param url a superuser of a server that is there for this; default: one is started
 * @param before SQL that each new database begins with: what a folder takes for granted
 */
export async function openLockStage(
  url: string | null = null,
  before: string | null = null,
): Promise<LockStage> {
  // A whole folder in one transaction has thousands of locks.
  const settings = { wal_level: "logical", max_locks_per_transaction: "256" };
  const own = url === null ? await startPostgres({ settings }) : null;
  const superuser = url ?? own?.url() ?? "";
  const { hostname, port } = new URL(superuser);
  const relay = await startRelay({ target: { host: hostname, port: Number(port || 5432) } });
  const admin = createAdmin(superuser);
  const roles = async () =>
    (await admin.sql("select rolname from pg_roles")).map(({ rolname }) => String(rolname));
  const clear = async (database: string, kept: readonly string[]) => {
    await admin.dropDatabase(database);
    for (const role of await roles()) if (!kept.includes(role)) await admin.dropRole(role);
  };
  const first = await roles();
  const [{ version } = {}] = await admin.sql("select current_setting('server_version') as version");
  return {
    relay: relay.address,
    url: databaseUrl(superuser, GROWS),
    version: String(version),
    fresh: async () => {
      await clear(GROWS, first);
      await admin.createDatabase(GROWS);
      if (before !== null) await admin.sql(before, [], GROWS);
    },
    copied: async (work) => {
      const kept = await roles();
      await admin.dropDatabase(COPY);
      await admin.createDatabase(COPY, { template: GROWS });
      try {
        const sql: Copy["sql"] = (text) => admin.sql(text, [], COPY);
        return await work({ url: databaseUrl(superuser, COPY), sql });
      } finally {
        await clear(COPY, kept);
      }
    },
    close: async () => {
      await relay.stop();
      if (own === null) await clear(GROWS, first);
      await own?.stop();
    },
  };
}

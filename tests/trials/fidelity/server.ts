import { createAdmin, databaseUrl } from "../../../local/postgres/admin.ts";
import { startPostgres } from "../../../local/postgres/postgres.ts";
import { startRelay } from "../../../local/relay/relay.ts";

/** Where folders are tried: one database at a time, on a server that nobody else uses meanwhile. */
export interface Server {
  /** The address of the relay in front of it. */
  readonly relay: string;
  /** A superuser's connection string for the one database. */
  readonly url: string;
  /** `server_version` of it. */
  readonly version: string;
  /** Puts an empty database in the place of the one before, and removes the roles that came since. */
  fresh(): Promise<void>;
  close(): Promise<void>;
}

/** Its name shows in definitions and privileges, so it is the same for everybody. */
const DATABASE = "fidelity";

/**
 * @param url a superuser of a server that is there for this; default: one is started
 * @param before SQL that each new database begins with: what a folder takes for granted
 */
export async function openServer(
  url: string | null = null,
  before: string | null = null,
): Promise<Server> {
  const own =
    url === null
      ? await startPostgres({ settings: { wal_level: "logical", max_wal_senders: "4" } })
      : null;
  const superuser = url ?? own?.url() ?? "";
  const { hostname, port } = new URL(superuser);
  const relay = await startRelay({ target: { host: hostname, port: Number(port || 5432) } });
  const admin = createAdmin(superuser);
  const roles = async () =>
    (await admin.sql("select rolname from pg_roles")).map(({ rolname }) => String(rolname));
  const first = new Set(await roles());
  const clear = async () => {
    await admin.dropDatabase(DATABASE);
    for (const role of await roles()) if (!first.has(role)) await admin.dropRole(role);
  };
  const [{ version } = {}] = await admin.sql("select current_setting('server_version') as version");
  return {
    relay: relay.address,
    url: databaseUrl(superuser, DATABASE),
    version: String(version),
    fresh: async () => {
      await clear();
      await admin.createDatabase(DATABASE);
      if (before !== null) await admin.sql(before, [], DATABASE);
    },
    close: async () => {
      await relay.stop();
      if (own === null) await clear();
      await own?.stop();
    },
  };
}

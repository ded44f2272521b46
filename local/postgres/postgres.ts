/*
 * A real PostgreSQL for the tests and the demonstration. Settings come in, and a running server goes out, on loopback,
 * with its data in a temporary directory. A guard ends the server and deletes its data, however our process ends.
 * Nothing here touches another server of this machine.
 */

import { randomBytes } from "node:crypto";
import { type Admin, createAdmin, databaseUrl, type Role } from "./admin.ts";
import { guardDirectory } from "./guard.ts";
import {
  type Cluster,
  createCluster,
  createDirectory,
  SCRAM_ROLE,
  type Server,
  startServer,
  stopServer,
} from "./server.ts";

/** The settings of a local PostgreSQL. */
export interface PostgresOptions {
  /** A fixed port. Default: a free one. */
  readonly port?: number;
  /** The superuser's password. Default: a random one. */
  readonly password?: string;
  /**
   * The authentication that the server asks for. Default: `password`, with which a driver may send the password ahead,
   * as on Neon. Single roles can be SCRAM roles instead (`admin.createRole(name, { scram: true })`).
   */
  readonly authMethod?: "password" | "scram-sha-256";
  /** Server settings beside the defaults, for example `{ log_statement: "all" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A real PostgreSQL 18 on loopback, in a temporary directory. It ends with this process. */
export interface LocalPostgres {
  readonly host: string;
  readonly port: number;
  /** The directory with the data and `server.log`. */
  readonly directory: string;
  /**
   * Makes a connection string.
   * @param database the database's name. Default: `postgres`
   * @param role the role that logs in. Default: the superuser
   */
  url(database?: string, role?: Role): string;
  readonly admin: Admin;
  /** Ends every session, as a restart of a compute does, and starts again with the same port and data. */
  restart(): Promise<void>;
  /** Ends the server and deletes its data. A second call does nothing. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const SUPERUSER = "postgres";

/**
 * Starts a PostgreSQL in about a second. Several servers can run side by side.
 * @throws Error with the server's log when it does not start
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<LocalPostgres> {
  const password = options.password ?? randomBytes(12).toString("hex");
  const directory = await createDirectory();
  const guard = guardDirectory(directory);
  try {
    const cluster = await createCluster(directory, {
      superuser: SUPERUSER,
      password,
      authMethod: options.authMethod ?? "password",
      settings: options.settings ?? {},
    });
    const server = await startServer(cluster, options.port ?? null);
    const url = `postgres://${SUPERUSER}:${encodeURIComponent(password)}@${HOST}:${server.port}/postgres`;
    const admin = createAdmin(url);
    await admin.sql(`create role ${SCRAM_ROLE}`);
    return running({ cluster, server, url, admin, release: guard.release });
  } catch (thrown) {
    await guard.release();
    throw thrown;
  }
}

interface Parts {
  readonly cluster: Cluster;
  readonly server: Server;
  readonly url: string;
  readonly admin: Admin;
  release(): Promise<void>;
}

function running(parts: Parts): LocalPostgres {
  let server = parts.server;
  let stopped: Promise<void> | null = null;
  return {
    host: HOST,
    port: server.port,
    directory: parts.cluster.directory,
    admin: parts.admin,
    url: (database = "postgres", role) => databaseUrl(parts.url, database, role),
    restart: async () => {
      await stopServer(server);
      server = await startServer(parts.cluster, server.port);
    },
    stop: () => {
      stopped ??= parts.release();
      return stopped;
    },
  };
}

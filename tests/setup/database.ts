import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import {
  type Admin,
  createAdmin,
  databaseUrl,
  type Role,
  type RoleOptions,
  type Rows,
  runSql,
} from "../../local/postgres/admin.ts";
import { type Relay, type RelayOptions, startRelay } from "../../local/relay/relay.ts";
import { closeKept, runKept } from "./kept-connection.ts";

/** A database of a test's own. Its owner is no superuser. */
export interface TestDatabase {
  readonly name: string;
  readonly owner: Role;
  /** The owner's connection string. A WebSocket reaches its host only through a relay. */
  readonly url: string;
  readonly admin: Admin;
  /** Returns the connection string of another role for this database. */
  urlOf(role: Role): string;
  /** Runs SQL in this database as superuser. */
  sql(text: string, values?: readonly unknown[]): Promise<Rows>;
  /** Runs SQL in this database as its owner. */
  sqlAsOwner(text: string, values?: readonly unknown[]): Promise<Rows>;
  /** Creates one more role that can log in. `close` drops it. */
  createRole(name: string, options?: RoleOptions): Promise<Role>;
  /** Returns a name for a role that the test creates itself. `close` drops it. */
  nameRole(name: string): string;
  /** Starts a relay to this server inside the test process. `close` stops it. */
  startRelay(options?: Omit<RelayOptions, "target">): Promise<Relay>;
  /** Starts a relay that behaves like Neon's proxy, and returns the settings that lead a function to it. */
  functionEnvironment(): Promise<FunctionEnvironment>;
  /** Runs one statement as the owner, in a transaction that stays open until it is released. */
  hold(text: string): Promise<Holder>;
  /** Stops the relays and drops the database and its roles. */
  close(): Promise<void>;
}

/** The settings by which a function finds its database. */
export type FunctionEnvironment = Readonly<Record<"DATABASE_URL" | "NEON_WS_PROXY", string>>;

/**
 * Creates an empty database.
 * @param name a name that no other test of the run has. Default: a random one
 */
export async function createTestDatabase(
  name: string = `test_${randomBytes(6).toString("hex")}`,
): Promise<TestDatabase> {
  const superuserUrl = inject("postgresUrl");
  const admin = createAdmin(superuserUrl, runKept);
  const owner = await admin.createRole(`${name}_owner`);
  await admin.createDatabase(name, { owner: owner.name });
  const urlOf = (role: Role) => databaseUrl(superuserUrl, name, role);
  const url = urlOf(owner);
  const roles = [owner.name];
  const relays: Relay[] = [];
  const open: TestDatabase["startRelay"] = async (relayOptions = {}) => {
    const relay = await startRelay({ ...relayOptions, target: targetOf(superuserUrl) });
    relays.push(relay);
    return relay;
  };
  return {
    ...{ name, owner, url, admin, urlOf },
    sql: (text, values = []) => admin.sql(text, values, name),
    sqlAsOwner: (text, values = []) => runSql(url, text, values),
    createRole: async (suffix, roleOptions) => {
      const role = await admin.createRole(`${name}_${suffix}`, roleOptions);
      roles.push(role.name);
      return role;
    },
    nameRole: (suffix) => {
      const role = `${name}_${suffix}`;
      roles.push(role);
      return role;
    },
    startRelay: open,
    functionEnvironment: async () => {
      const { address } = await open({ mode: "neon" });
      return { DATABASE_URL: url, NEON_WS_PROXY: address };
    },
    hold: (text) => holdOpen(url, text),
    close: async () => {
      await Promise.all(relays.map((relay) => relay.stop()));
      await closeKept(databaseUrl(superuserUrl, name));
      await admin.dropDatabase(name);
      for (const role of roles.toReversed()) await admin.dropRole(role);
    },
  };
}

function targetOf(url: string): RelayOptions["target"] {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** A session that stays in a transaction until it is released. */
export interface Holder {
  readonly pid: number;
  sql(text: string): Promise<unknown>;
  release(): Promise<void>;
}

/** Opens a transaction as the database's owner and runs one statement in it. */
async function holdOpen(url: string, text: string): Promise<Holder> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  const { rows } = await client.query("select pg_catalog.pg_backend_pid() as pid");
  await client.query("begin");
  await client.query(text);
  return {
    pid: rows[0].pid,
    sql: (more) => client.query(more),
    release: () => client.end(),
  };
}

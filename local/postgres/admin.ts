import { randomBytes } from "node:crypto";
import { Client, escapeIdentifier, escapeLiteral } from "pg";
import { SCRAM_ROLE } from "./server.ts";

/** The rows of one statement. */
export type Rows = readonly Readonly<Record<string, unknown>>[];

/** A role that can log in. */
export interface Role {
  readonly name: string;
  readonly password: string;
}

/** The actions of a superuser: roles, databases, any SQL. */
export interface Admin {
  /**
   * Runs SQL as superuser.
   * @param database the database's name. Default: `postgres`
   */
  sql(text: string, values?: readonly unknown[], database?: string): Promise<Rows>;
  /** Creates a role that can log in and has no other rights. */
  createRole(name: string, options?: RoleOptions): Promise<Role>;
  createDatabase(name: string, options?: DatabaseOptions): Promise<void>;
  /** Ends the sessions on the database and drops it. A database that does not exist is no error. */
  dropDatabase(name: string): Promise<void>;
  /** Drops a role. A role that does not exist is no error. */
  dropRole(name: string): Promise<void>;
}

/** The settings of a new role. */
export interface RoleOptions {
  /** The role's password. Default: a random one. */
  readonly password?: string;
  /** Whether the server asks this role for SCRAM, so that a password sent ahead is refused. Default: false. */
  readonly scram?: boolean;
}

/** The settings of a new database. */
export interface DatabaseOptions {
  readonly owner?: string;
  /** The database to copy. Default: `template1`. */
  readonly template?: string;
}

/**
 * Makes an admin of the server that a superuser's connection string names.
 * @param run sends one text to the database of a connection string. Default: on a connection of its own
 */
export function createAdmin(url: string, run: typeof runSql = runSql): Admin {
  const sql: Admin["sql"] = (text, values = [], database = "postgres") =>
    run(databaseUrl(url, database), text, values);
  return {
    sql,
    createRole: async (name, { password = randomBytes(12).toString("hex"), scram } = {}) => {
      await sql(`create role ${escapeIdentifier(name)} login password ${escapeLiteral(password)}`);
      if (scram === true) await sql(`grant ${SCRAM_ROLE} to ${escapeIdentifier(name)}`);
      return { name, password };
    },
    createDatabase: async (name, { owner, template } = {}) => {
      const clauses = [
        template === undefined ? "" : ` template ${escapeIdentifier(template)}`,
        owner === undefined ? "" : ` owner ${escapeIdentifier(owner)}`,
      ];
      const [version] = await sql("select current_setting('server_version_num')::int as number");
      const old = Number(version?.number) < 150_000;
      // A copy through the write-ahead log takes three times as long. PostgreSQL 14 knows no other than that of files.
      const strategy = old ? "" : " strategy file_copy";
      await sql(`create database ${escapeIdentifier(name)}${clauses.join("")}${strategy}`);
      if (old) await sql(closePublic(owner), [], name);
    },
    dropDatabase: async (name) => {
      await sql(`drop database if exists ${escapeIdentifier(name)} with (force)`);
    },
    dropRole: async (name) => {
      await sql(`drop role if exists ${escapeIdentifier(name)}`);
    },
  };
}

/** Returns the statements after which only its owner may create in `public`, as it is from PostgreSQL 15 on. */
function closePublic(owner = "current_user"): string {
  const name = owner === "current_user" ? owner : escapeIdentifier(owner);
  return `alter schema public owner to ${name}; revoke create on schema public from public`;
}

/** Runs one text on a connection of its own, over TCP, without the relay. */
export async function runSql(url: string, text: string, values: readonly unknown[]): Promise<Rows> {
  const client = new Client({ connectionString: url });
  // The server may end the session after the answer; the query's own failure rejects below.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await runOn(client, text, values);
  } finally {
    await client.end();
  }
}

/** Runs one text on an open connection. */
export async function runOn(
  client: Pick<Client, "query">,
  text: string,
  values: readonly unknown[],
): Promise<Rows> {
  // Several statements in one text need the simple protocol, which knows no parameters.
  const result: unknown = await client.query(text, values.length === 0 ? undefined : [...values]);
  return rowsOf(Array.isArray(result) ? result.at(-1) : result);
}

function rowsOf(result: unknown): Rows {
  const rows = typeof result === "object" && result !== null ? Reflect.get(result, "rows") : null;
  return Array.isArray(rows) ? rows : [];
}

/** Changes the database or the role of a connection string. */
export function databaseUrl(url: string, database: string, role?: Role): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  if (role !== undefined) {
    other.username = encodeURIComponent(role.name);
    other.password = encodeURIComponent(role.password);
  }
  return other.href;
}

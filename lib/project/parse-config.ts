import { quoted } from "../text.ts";
import { invalidConfig } from "./errors.ts";

/** The place of the ledger, as far as the file names it (`migrations`). */
export interface ConfigLedger {
  readonly schema: string | null;
  readonly table: string | null;
}

/** The database as the file names it (`dbCredentials`): a connection string, or the reason why there is none. */
export type ConfigDatabase =
  | { readonly url: string }
  | { readonly url: null; readonly reason: string };

/** The settings of a file, as they stand in it. */
export interface ParsedConfig {
  readonly out: string | null;
  readonly ledger: ConfigLedger;
  readonly database: ConfigDatabase | null;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the value that a drizzle.config file exports, of drizzle-kit 0.31 or 1.0. Pure.
 * @param file the file's name, for messages
 * @throws MigratorError `PROJECT_CONFIG_INVALID`
 */
export function parseConfig(file: string, exported: unknown): ParsedConfig {
  const config = configIn(file, exported);
  refuseOtherDialects(file, config);
  const migrations = config.migrations ?? {};
  if (!isFields(migrations)) throw invalidConfig(file, "has migrations that are not an object.");
  return {
    out: textOf(file, "out", config.out),
    ledger: {
      schema: textOf(file, "migrations.schema", migrations.schema),
      table: textOf(file, "migrations.table", migrations.table),
    },
    database: databaseOf(file, config),
  };
}

function configIn(file: string, exported: unknown): Fields {
  if (Array.isArray(exported)) {
    throw invalidConfig(
      file,
      `exports a list, and drizzle-kit takes one configuration from a file. Give each a file of its own.`,
    );
  }
  if (isFields(exported) && Object.keys(exported).length > 0) return exported;
  const isNothing = exported === undefined || typeof exported === "object";
  const what = isNothing ? "nothing" : `a ${typeof exported}`;
  throw invalidConfig(file, `exports ${what}. Write "export default defineConfig({ … })".`);
}

function refuseOtherDialects(file: string, { dialect }: Fields): void {
  if (dialect === "postgresql") return;
  if (dialect === undefined || dialect === null) {
    throw invalidConfig(
      file,
      `exports no dialect. drizzle-kit wants dialect: "postgresql" in its default export.`,
    );
  }
  throw invalidConfig(file, `is for another database: its dialect is ${quoted(dialect)}.`, {
    wayOut:
      "Only postgresql is migrated here. Name that file with --config, or read none with --no-config.",
  });
}

function textOf(file: string, name: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" && value.trim() !== "") return value;
  throw invalidConfig(file, `has ${quoted(value)} as ${name}, and that must be a text.`);
}

function databaseOf(file: string, { driver, dbCredentials }: Fields): ConfigDatabase | null {
  if (typeof driver === "string") {
    const reason = `The driver of ${file}, ${driver}, has no connection string.`;
    return { url: null, reason };
  }
  if (dbCredentials === undefined || dbCredentials === null) return null;
  if (!isFields(dbCredentials))
    throw invalidConfig(file, "has dbCredentials that are not an object.");
  const { url, host, database } = dbCredentials;
  if (typeof url === "string" && url.trim() !== "") return { url: url.trim() };
  if (typeof host === "string" && typeof database === "string") {
    return { url: urlOf(host, database, dbCredentials) };
  }
  const name = "url" in dbCredentials || !("host" in dbCredentials) ? "url" : "host or database";
  const reason = `dbCredentials of ${file} has no ${name}: does it need a variable that is not set?`;
  return { url: null, reason };
}

/** Makes a connection string of its parts. `ssl` becomes the `sslmode` of other drivers. */
function urlOf(host: string, database: string, { user, password, port, ssl }: Fields): string {
  const [login, secret] = [user ?? "postgres", password ?? ""].map((each) =>
    encodeURIComponent(String(each)),
  );
  // As libpq and drizzle-kit write it, an IPv6 address has no brackets.
  const place = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `postgres://${login}${secret === "" ? "" : `:${secret}`}@${place}:${port ?? 5432}/${encodeURIComponent(database)}${sslMode(ssl)}`;
}

/** drizzle-kit takes a mode of libpq, or the options of Node's TLS. */
function sslMode(ssl: unknown): string {
  if (ssl === undefined || ssl === null) return "";
  if (typeof ssl === "string") return `?sslmode=${encodeURIComponent(ssl)}`;
  return ssl === false ? "?sslmode=disable" : "?sslmode=require";
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

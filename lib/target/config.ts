import { MigratorError } from "../errors.ts";
import { type ConfiguredLedger, DEFAULT_LEDGER } from "./target.ts";

/** The settings of one function or one shell, as the environment gives them. */
export interface Config {
  readonly databaseUrl: DatabaseUrlReference | null;
  /** `host:port/path` of a local relay without TLS (`NEON_WS_PROXY`); null means Neon itself. */
  readonly relay: string | null;
  /**
   * Place of Drizzle's ledger (`LEDGER_SCHEMA`, `LEDGER_TABLE`). Default: `drizzle.__drizzle_migrations`, and `public`
   * for a role that may not create that schema. `LEDGER_HISTORY` is on or off; without it the ledger's place decides.
   */
  readonly ledger: ConfiguredLedger;
  /** Longest time for connecting, a waking compute included (`CONNECT_TIMEOUT_MS`). Default: 30,000. */
  readonly connectTimeoutMs: number;
  /** Whether this process is a Lambda function: there a plain connection string is worth a warning. */
  readonly inLambda: boolean;
}

/** The source of the connection string. A reference is better than the string itself. */
export type DatabaseUrlReference =
  | { readonly from: "environment"; readonly url: string }
  | { readonly from: "secret"; readonly id: string; readonly field: string | null }
  | { readonly from: "parameter"; readonly name: string };

/** Long enough for a Neon compute to wake: Neon's documentation advises 10–15 s, its proxy holds longer. */
const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment. Exactly one of `DATABASE_URL_SECRET`, `DATABASE_URL_PARAMETER` and `DATABASE_URL` names the
 * connection string. An environment without any of them is legal here; `resolveTarget` refuses it.
 * @throws MigratorError `CONFIG_INVALID`
 */
export function readConfig(environment: Environment = process.env): Config {
  return {
    databaseUrl: databaseUrlReference(environment),
    relay: setting(environment, "NEON_WS_PROXY"),
    ledger: {
      ...configuredLedger(
        setting(environment, "LEDGER_SCHEMA"),
        setting(environment, "LEDGER_TABLE"),
      ),
      ...historyOf(setting(environment, "LEDGER_HISTORY")),
    },
    inLambda: setting(environment, "AWS_LAMBDA_FUNCTION_NAME") !== null,
    connectTimeoutMs: connectTimeout(setting(environment, "CONNECT_TIMEOUT_MS")),
  };
}

function configuredLedger(schema: string | null, named: string | null): ConfiguredLedger {
  const table = named ?? DEFAULT_LEDGER.table;
  return schema === null
    ? { schema: DEFAULT_LEDGER.schema, table }
    : { schema, table, named: true };
}

function historyOf(value: string | null): Pick<ConfiguredLedger, "history"> {
  if (value === null) return {};
  if (value === "on" || value === "off") return { history: value === "on" };
  throw refused("LEDGER_HISTORY", value, "on, off");
}

function refused(name: string, value: string, allowed: string): MigratorError {
  const message = `${name} is ${JSON.stringify(value)}. Allowed: ${allowed}.`;
  return new MigratorError("CONFIG_INVALID", message);
}

/** Returns the memory of the Lambda function in MB; NaN elsewhere. */
export function memoryOfFunction(environment: Environment = process.env): number {
  return Number.parseInt(environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? "", 10);
}

function databaseUrlReference(environment: Environment): DatabaseUrlReference | null {
  const secret = setting(environment, "DATABASE_URL_SECRET");
  const parameter = setting(environment, "DATABASE_URL_PARAMETER");
  if (secret !== null && parameter !== null) {
    throw new MigratorError(
      "CONFIG_INVALID",
      "DATABASE_URL_SECRET and DATABASE_URL_PARAMETER are both set. Keep the one that holds the connection string.",
    );
  }
  if (secret !== null) {
    return secretReference(secret, setting(environment, "DATABASE_URL_SECRET_FIELD"));
  }
  if (parameter !== null) return { from: "parameter", name: parameter };
  const url = setting(environment, "DATABASE_URL");
  return url === null ? null : { from: "environment", url };
}

/**
 * Reads `name#field` from one setting, or the field from a setting of its own. The name of a secret never contains a
 * `#`. A URL is not a name.
 */
function secretReference(secret: string, named: string | null): DatabaseUrlReference {
  const hash = secret.includes("://") ? -1 : secret.indexOf("#");
  if (hash === -1) return { from: "secret", id: secret, field: named };
  const [id, field] = [secret.slice(0, hash).trim(), secret.slice(hash + 1).trim()];
  if (id === "" || field === "" || (named !== null && named !== field)) {
    throw new MigratorError(
      "CONFIG_INVALID",
      "DATABASE_URL_SECRET has a # in it. In front of it belongs the name or ARN of the secret, behind it the one field that holds the connection string; DATABASE_URL_SECRET_FIELD must not name another.",
    );
  }
  return { from: "secret", id, field };
}

function connectTimeout(value: string | null): number {
  if (value === null) return DEFAULT_CONNECT_TIMEOUT_MS;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 900_000) {
    throw refused("CONNECT_TIMEOUT_MS", value, "whole milliseconds from 1 to 900000");
  }
  return number;
}

function setting(environment: Environment, name: string): string | null {
  const value = environment[name]?.trim();
  return value === undefined || value === "" ? null : value;
}

import type { EnvFile } from "../lib/project/env-files.ts";
import type { ProjectConfig } from "../lib/project/project.ts";
import { DEFAULT_LEDGER, type LedgerPlace } from "../lib/target/target.ts";

/** The flags that override what the environment and the project's files say. */
export interface SettingFlags {
  readonly folder?: string;
  readonly ledgerSchema?: string;
  readonly ledgerTable?: string;
  /** The connection string. */
  readonly url?: string;
  /** Name or ARN of a Secrets Manager secret, read through the usual chain of AWS credentials. */
  readonly secret?: string;
  /** The field of a secret that is JSON. */
  readonly secretField?: string;
  /** Name or ARN of an SSM parameter. */
  readonly parameter?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The sources of settings behind the flags, the stronger ones first. */
export interface Sources {
  /** The environment, with the variables of the files of variables. */
  readonly environment: Environment;
  readonly envFiles: readonly EnvFile[];
  readonly config: ProjectConfig | null;
}

/** The decision for each setting. */
export interface Settled {
  readonly folder: string;
  readonly ledger: LedgerPlace;
  /** The environment in which `readConfig` finds the database and the ledger that were decided on. */
  readonly environment: Environment;
  /** The place where the connection string was found, as a message names it; null where nothing has one. */
  readonly origin: string | null;
  /** The settings that the drizzle.config file has decided, as a person reads them. */
  readonly fromConfig: {
    readonly folder: boolean;
    readonly ledger: boolean;
    readonly database: "used" | "overridden" | "none";
  };
}

const PLACES = ["DATABASE_URL_SECRET", "DATABASE_URL_PARAMETER", "DATABASE_URL"] as const;

/**
 * Decides on each setting: a flag goes before the environment, the environment before the drizzle.config file, and that
 * before the default. Pure.
 */
export function settle(flags: SettingFlags, sources: Sources): Settled {
  const { environment, config } = sources;
  const inConfig = config ?? NO_CONFIG;
  const schema = flags.ledgerSchema ?? setting(environment, "LEDGER_SCHEMA");
  const table = flags.ledgerTable ?? setting(environment, "LEDGER_TABLE");
  const place = placeOf(flags, sources);
  const named = {
    LEDGER_SCHEMA: schema ?? inConfig.ledger.schema ?? undefined,
    LEDGER_TABLE: table ?? inConfig.ledger.table ?? undefined,
  };
  return {
    folder: flags.folder ?? inConfig.folder ?? "drizzle",
    ledger: {
      schema: named.LEDGER_SCHEMA ?? DEFAULT_LEDGER.schema,
      table: named.LEDGER_TABLE ?? DEFAULT_LEDGER.table,
    },
    environment: { ...environment, ...place?.variables, ...named },
    origin: place?.origin ?? null,
    fromConfig: {
      folder: decides(flags.folder, inConfig.folder),
      ledger: decides(schema, inConfig.ledger.schema) || decides(table, inConfig.ledger.table),
      database: databaseUse(sources, place),
    },
  };
}

const NO_CONFIG = { folder: null, ledger: { schema: null, table: null } };

/** Whether the value of the config file counts: there is one, and nothing stronger. */
function decides(stronger: string | null | undefined, own: string | null): boolean {
  return (stronger ?? null) === null && own !== null;
}

interface Place {
  readonly origin: string;
  readonly variables: Readonly<Partial<Record<string, string | undefined>>>;
}

function placeOf(flags: SettingFlags, sources: Sources): Place | null {
  return placeInFlags(flags) ?? placeInEnvironment(sources) ?? placeInConfig(sources);
}

/** A flag for the place of the connection string replaces all settings of the environment for it. */
function placeInFlags({ url, secret, secretField, parameter }: SettingFlags): Place | null {
  const variables = {
    DATABASE_URL: url,
    DATABASE_URL_SECRET: secret,
    DATABASE_URL_SECRET_FIELD: secretField,
    DATABASE_URL_PARAMETER: parameter,
  };
  if (url !== undefined) return { origin: "--url", variables };
  if (secret !== undefined) return { origin: `the secret ${secret}`, variables };
  return parameter === undefined ? null : { origin: `the parameter ${parameter}`, variables };
}

function placeInEnvironment({ environment, envFiles }: Sources): Place | null {
  const name = PLACES.find((each) => setting(environment, each) !== null);
  if (name === undefined) return null;
  const file = envFiles.find(({ names }) => names.includes(name))?.file;
  return { origin: file === undefined ? name : `${name} in ${file}`, variables: {} };
}

function placeInConfig({ config }: Sources): Place | null {
  const url = config?.database?.url ?? null;
  if (config === null || url === null) return null;
  return { origin: `dbCredentials in ${config.file}`, variables: { DATABASE_URL: url } };
}

function databaseUse(sources: Sources, place: Place | null): Settled["fromConfig"]["database"] {
  const own = placeInConfig(sources);
  if (own === null) return "none";
  if (place?.origin === own.origin) return "used";
  const url = place?.variables.DATABASE_URL ?? setting(sources.environment, "DATABASE_URL");
  return url === own.variables.DATABASE_URL ? "used" : "overridden";
}

function setting(environment: Environment, name: string): string | null {
  const value = environment[name]?.trim();
  return value === undefined || value === "" ? null : value;
}

import { type Config, readConfig } from "../lib/target/config.ts";
import { parseEndpoint } from "../lib/target/endpoint.ts";
import { resolveTarget } from "../lib/target/secret.ts";
import type { Target } from "../lib/target/target.ts";
import { type Relay, startRelay } from "./relay.ts";

/** The database that a command line names. */
export interface Database {
  /** @throws MigratorError when nothing names a database, or the connection string cannot be read */
  target(): Promise<Target>;
  /** Ends the relay, if there is one. */
  close(): Promise<void>;
}

/** The options by which a command line names a database. */
export interface DatabaseOptions {
  /** The connection string. Default, without `secret` and `parameter`: the settings of the environment. */
  readonly url?: string;
  /** Name or ARN of a Secrets Manager secret, read through the usual chain of AWS credentials. */
  readonly secret?: string;
  /** The field of a secret that is JSON. */
  readonly secretField?: string;
  /** Name or ARN of an SSM parameter. */
  readonly parameter?: string;
  /** Whether the host is an ordinary PostgreSQL that speaks no WebSocket. */
  readonly relay: boolean;
}

/** Prepares the way to a database. Nothing happens before the target is asked for. */
export function openDatabase(options: DatabaseOptions): Database {
  let relay: Relay | null = null;
  return {
    target: async () => {
      const target = withoutAdvice(await resolveTarget(configFor(options)));
      if (!options.relay) return target;
      const { host, port } = parseEndpoint(target.url);
      await relay?.stop();
      relay = await startRelay({ host, port });
      return { ...target, relay: relay.address };
    },
    close: async () => {
      await relay?.stop();
    },
  };
}

/** The command line's place of the connection string replaces all settings of the environment for it. */
function configFor({ url, secret, secretField, parameter }: DatabaseOptions): Config {
  if (url === undefined && secret === undefined && parameter === undefined) return readConfig();
  return readConfig({
    ...process.env,
    DATABASE_URL: url,
    DATABASE_URL_SECRET: secret,
    DATABASE_URL_SECRET_FIELD: secretField,
    DATABASE_URL_PARAMETER: parameter,
  });
}

/** Leaves out a warning that is for functions: a shell has no better place for a connection string. */
function withoutAdvice(target: Target): Target {
  const warnings = target.warnings.filter(({ code }) => code !== "PLAINTEXT_DATABASE_URL");
  return { ...target, warnings };
}

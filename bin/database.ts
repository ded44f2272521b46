import { type Config, readConfig } from "../lib/target/config.ts";
import { parseEndpoint } from "../lib/target/endpoint.ts";
import { resolveTarget } from "../lib/target/secret.ts";
import type { Target } from "../lib/target/target.ts";
import { type Relay, startRelay } from "./relay.ts";

/** The database that a command line names. */
export interface Database {
  /** @throws MigratorError when nothing names a database, or what names it cannot be read */
  target(): Promise<Target>;
  /** Ends the relay, if there is one. */
  close(): Promise<void>;
}

/** How a command line names a database. */
export interface DatabaseOptions {
  /** One of these three, or what the environment says. */
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

/** What the command line says about the connection string wins over all that the environment says about it. */
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

/** A shell has no better place for a connection string; a function has. */
function withoutAdvice(target: Target): Target {
  const warnings = target.warnings.filter(({ code }) => code !== "PLAINTEXT_DATABASE_URL");
  return { ...target, warnings };
}

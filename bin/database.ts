import { type Config, readConfig, type Target } from "../lib/config.ts";
import { parseEndpoint } from "../lib/endpoint.ts";
import { resolveTarget } from "../lib/secret.ts";
import { type Relay, startRelay } from "../local/relay.ts";

/** The database that a command line names. */
export interface Database {
  /** @throws MigratorError when nothing names a database, or what names it cannot be read */
  target(): Promise<Target>;
  /** Ends the relay, if there is one. */
  close(): Promise<void>;
}

/** How a command line names a database. */
export interface DatabaseOptions {
  /** Default: what the environment says. */
  readonly url?: string;
  /** Whether the host is an ordinary PostgreSQL that speaks no WebSocket. */
  readonly relay: boolean;
}

/** Prepares the way to a database. Nothing happens before the target is asked for. */
export function openDatabase({ url, relay: wanted }: DatabaseOptions): Database {
  let relay: Relay | null = null;
  return {
    target: async () => {
      const target = withoutAdvice(await resolveTarget(configFor(url)));
      if (!wanted) return target;
      const { host, port } = parseEndpoint(target.url);
      relay = await startRelay({ target: { host, port } });
      return { ...target, relay: relay.address };
    },
    close: async () => {
      await relay?.stop();
    },
  };
}

/** A connection string on the command line wins over all that the environment says about one. */
function configFor(url: string | undefined): Config {
  if (url === undefined) return readConfig();
  const others = { DATABASE_URL_SECRET: "", DATABASE_URL_PARAMETER: "" };
  return readConfig({ ...process.env, ...others, DATABASE_URL: url });
}

/** A shell has no better place for a connection string; a function has. */
function withoutAdvice(target: Target): Target {
  const warnings = target.warnings.filter(({ code }) => code !== "PLAINTEXT_DATABASE_URL");
  return { ...target, warnings };
}

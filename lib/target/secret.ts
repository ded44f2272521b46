import { MigratorError } from "../errors.ts";
import { silentLog } from "../log.ts";
import type { Patience } from "../rights.ts";
import type { Config, DatabaseUrlReference } from "./config.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { KeptClients } from "./read-secret.ts";
import type { Target } from "./target.ts";

/**
 * Finds the database. A secret is read anew each time, so that a rotated one is never stale. The AWS client loads
 * only when it is needed.
 * @param patience how long a right to read it that is denied is waited for. Default: not at all
 * @param clients AWS' clients of the readings before; this one's is kept in it. Default: each reading has its own
 * @throws MigratorError `DATABASE_URL_MISSING`, `DATABASE_URL_INVALID`, `SECRET_UNAVAILABLE`; no message shows the
 *   value
 */
export async function resolveTarget(
  config: Config,
  patience: Patience = { until: 0, log: silentLog },
  clients: KeptClients = new Map(),
): Promise<Target> {
  const { databaseUrl, relay, ledger, connectTimeoutMs, inLambda } = config;
  if (databaseUrl === null) {
    throw new MigratorError(
      "DATABASE_URL_MISSING",
      "Nothing says where the database is. Set DATABASE_URL_SECRET, DATABASE_URL_PARAMETER or DATABASE_URL.",
    );
  }
  const url = await readReference(databaseUrl, patience, clients);
  parseEndpoint(url);
  const plain = databaseUrl.from === "environment" && inLambda;
  const message =
    "The function's environment holds the connection string itself, which everyone may see who may look at the function. Use DATABASE_URL_SECRET or DATABASE_URL_PARAMETER.";
  const warnings = plain ? [{ code: "PLAINTEXT_DATABASE_URL", message }] : [];
  return { url, relay, ledger, connectTimeoutMs, warnings };
}

async function readReference(
  reference: DatabaseUrlReference,
  patience: Patience,
  clients: KeptClients,
): Promise<string> {
  if (reference.from === "environment") return reference.url;
  const { readSecretUrl } = await import("./read-secret.ts");
  return await readSecretUrl(reference, patience, clients);
}

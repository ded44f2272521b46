import { MigratorError } from "../errors.ts";
import { silentLog } from "../log.ts";
import type { Patience } from "../rights.ts";
import type { Config, DatabaseUrlReference } from "./config.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { Target } from "./target.ts";

/** The fields in which people keep a connection string. */
const URL_FIELDS = ["url", "databaseUrl", "DATABASE_URL", "connectionString"];

/**
 * Finds the database. A secret is read anew each time, so that a rotated one is never stale. The AWS client loads
 * only when it is needed.
 * @param patience how long a right to read it that is denied is waited for. Default: not at all
 * @throws MigratorError `DATABASE_URL_MISSING`, `DATABASE_URL_INVALID`, `SECRET_UNAVAILABLE`; no message shows the
 *   value
 */
export async function resolveTarget(
  config: Config,
  patience: Patience = { until: 0, log: silentLog },
): Promise<Target> {
  const { databaseUrl, relay, ledger, connectTimeoutMs, inLambda } = config;
  if (databaseUrl === null) {
    throw new MigratorError(
      "DATABASE_URL_MISSING",
      "Nothing says where the database is. Set DATABASE_URL_SECRET, DATABASE_URL_PARAMETER or DATABASE_URL.",
    );
  }
  const url = await readReference(databaseUrl, patience);
  parseEndpoint(url);
  const plain = databaseUrl.from === "environment" && inLambda;
  const message =
    "The function's environment holds the connection string itself, which everyone may see who may look at the function. Use DATABASE_URL_SECRET or DATABASE_URL_PARAMETER.";
  const warnings = plain ? [{ code: "PLAINTEXT_DATABASE_URL", message }] : [];
  return { url, relay, ledger, connectTimeoutMs, warnings };
}

async function readReference(reference: DatabaseUrlReference, patience: Patience): Promise<string> {
  if (reference.from === "environment") return reference.url;
  const { readParameter, readSecret } = await import("./read-secret.ts");
  if (reference.from === "parameter") {
    const { name } = reference;
    return urlIn(await readParameter(name, patience), `The parameter ${name}`, null);
  }
  const { id, field } = reference;
  return urlIn(await readSecret(id, patience), `The secret ${id}`, field);
}

/**
 * Finds the connection string in a secret. The secret is the string itself, or a JSON object. The object holds the
 * string in a field, or its parts under the names of RDS or of PostgreSQL's drivers.
 */
function urlIn(secret: string, where: string, field: string | null): string {
  if (secret.trim() === "") {
    throw new MigratorError(
      "SECRET_UNAVAILABLE",
      `${where} holds no text: it is empty, or binary.`,
    );
  }
  if (!secret.trimStart().startsWith("{")) return secret.trim();
  const fields = parse(secret);
  const key = field ?? URL_FIELDS.find((each) => typeof fields[each] === "string");
  const value = key === undefined ? fromParts(fields) : fields[key];
  if (typeof value === "string" && value.trim() !== "") return value.trim();
  throw new MigratorError(
    "SECRET_UNAVAILABLE",
    `${where} holds no connection string${field === null ? "" : ` in its field ${field}`}. Name the field with DATABASE_URL_SECRET_FIELD.`,
  );
}

function fromParts(fields: Readonly<Record<string, unknown>>): string | undefined {
  const { host, password } = fields;
  const username = fields.username ?? fields.user;
  const port = fields.port ?? 5432;
  const database = fields.dbname ?? fields.database ?? username;
  if (typeof host !== "string" || typeof username !== "string" || typeof password !== "string")
    return undefined;
  if (!["string", "number"].includes(typeof port) || typeof database !== "string") return undefined;
  const parts = [username, password, database];
  // Half a character cannot be percent-encoded.
  if (parts.some((part) => /\p{Surrogate}/u.test(part))) return undefined;
  const [login, secret, path] = parts.map(encodeURIComponent);
  return `postgres://${login}:${secret}@${host}:${port}/${path}`;
}

function parse(secret: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(secret);
  } catch {
    return {};
  }
}

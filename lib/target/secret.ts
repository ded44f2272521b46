import { MigratorError, toError } from "../errors.ts";
import type { Config, DatabaseUrlReference } from "./config.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { Target } from "./target.ts";

/** Longest wait for an answer of AWS. */
const TIMEOUT_MS = 10_000;

/** The fields in which people keep a connection string. */
const URL_FIELDS = ["url", "databaseUrl", "DATABASE_URL", "connectionString"];

/**
 * Finds the database. A secret is read anew each time, so that a rotated one is never stale. The AWS client loads
 * only when it is needed.
 * @throws MigratorError `DATABASE_URL_MISSING`, `DATABASE_URL_INVALID`, `SECRET_UNAVAILABLE`; no message shows the
 *   value
 */
export async function resolveTarget(config: Config): Promise<Target> {
  const { databaseUrl, relay, ledger, connectTimeoutMs, inLambda } = config;
  if (databaseUrl === null) {
    throw new MigratorError(
      "DATABASE_URL_MISSING",
      "Nothing says where the database is. Set DATABASE_URL_SECRET, DATABASE_URL_PARAMETER or DATABASE_URL.",
    );
  }
  const url = await readReference(databaseUrl);
  parseEndpoint(url);
  const plain = databaseUrl.from === "environment" && inLambda;
  const message =
    "The function's environment holds the connection string itself, which everyone may see who may look at the function. Use DATABASE_URL_SECRET or DATABASE_URL_PARAMETER.";
  const warnings = plain ? [{ code: "PLAINTEXT_DATABASE_URL", message }] : [];
  return { url, relay, ledger, connectTimeoutMs, warnings };
}

async function readReference(reference: DatabaseUrlReference): Promise<string> {
  switch (reference.from) {
    case "environment":
      return reference.url;
    case "parameter":
      return urlIn(await readParameter(reference.name), `The parameter ${reference.name}`, null);
    case "secret":
      return urlIn(await readSecret(reference.id), `The secret ${reference.id}`, reference.field);
  }
}

async function readParameter(name: string): Promise<string> {
  try {
    const { GetParameterCommand, SSMClient } = await import("@aws-sdk/client-ssm");
    const command = new GetParameterCommand({ Name: name, WithDecryption: true });
    const abortSignal = AbortSignal.timeout(TIMEOUT_MS);
    const { Parameter } = await new SSMClient({}).send(command, { abortSignal });
    return Parameter?.Value ?? "";
  } catch (thrown) {
    throw unavailable(`The parameter ${name}`, thrown);
  }
}

async function readSecret(id: string): Promise<string> {
  try {
    const { GetSecretValueCommand, SecretsManagerClient } = await import(
      "@aws-sdk/client-secrets-manager"
    );
    const command = new GetSecretValueCommand({ SecretId: id });
    const abortSignal = AbortSignal.timeout(TIMEOUT_MS);
    const { SecretString } = await new SecretsManagerClient({}).send(command, { abortSignal });
    return SecretString ?? "";
  } catch (thrown) {
    throw unavailable(`The secret ${id}`, thrown);
  }
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

function unavailable(what: string, thrown: unknown): MigratorError {
  const { name, message } = toError(thrown);
  const passing = /Throttl|Timeout|Abort|Network|ECONN|ENOTFOUND|Internal/i.test(
    `${name} ${message}`,
  );
  return new MigratorError(
    "SECRET_UNAVAILABLE",
    `${what} could not be read: ${name}: ${message}. Look at its name, at the grants of the role, and at the way to the service.`,
    { retryable: passing },
  );
}

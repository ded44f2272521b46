import { MigratorError, toError } from "../errors.ts";
import {
  afterWaiting,
  grantAdvice,
  isDenied,
  type Patience,
  reasonOf,
  withRights,
} from "../rights.ts";
import type { DatabaseUrlReference } from "./config.ts";

/** Longest wait for an answer of AWS. */
const TIMEOUT_MS = 20_000;
/**
 * The most attempts. The Parameter Store answers 40 reads a second by default (quotas of Systems Manager), and a fleet asks
 * for more at times.
 */
const CLIENT = { maxAttempts: 6 };

/** AWS' errors that pass by themselves. */
const PASSING = /Throttl|Timeout|Abort|Network|ECONN|ENOTFOUND|Internal/i;

/** An ARN whose end Secrets Manager takes for the six characters that it adds to a name. */
const LOOKS_WHOLE = /^arn:[^:]+:secretsmanager:.*-[A-Za-z0-9]{6}$/;

/** The fields in which people keep a connection string. */
const URL_FIELDS = ["url", "databaseUrl", "DATABASE_URL", "connectionString"];

/** A secret of Secrets Manager, or a parameter of the Parameter Store. */
export type SecretReference = Exclude<DatabaseUrlReference, { readonly from: "environment" }>;

/**
 * AWS' clients that are kept from one reading to the next, by their classes: a new one shakes hands with its service
 * again, for each tenant of a fleet.
 */
export type KeptClients = Map<unknown, unknown>;

/** Reads the connection string in a secret or a parameter. @throws MigratorError `SECRET_UNAVAILABLE` */
export async function readSecretUrl(
  reference: SecretReference,
  patience: Patience,
  clients: KeptClients,
): Promise<string> {
  const { text, where } = await readSecretText(reference, patience, clients);
  return urlIn(text, where, reference.from === "secret" ? reference.field : undefined);
}

/**
 * Reads the text of a secret or a parameter.
 * @returns the text, which is not empty, and the words for where it is from
 * @throws MigratorError `SECRET_UNAVAILABLE`
 */
export async function readSecretText(
  reference: SecretReference,
  patience: Patience,
  clients: KeptClients = new Map(),
): Promise<{ readonly text: string; readonly where: string }> {
  const isParameter = reference.from === "parameter";
  const where = isParameter ? `The parameter ${reference.name}` : `The secret ${reference.id}`;
  const text = await (isParameter
    ? readParameter(reference.name, patience, clients)
    : readSecret(reference.id, patience, clients));
  if (text.trim() !== "") return { text, where };
  throw new MigratorError("SECRET_UNAVAILABLE", `${where} holds no text: it is empty, or binary.`);
}

async function readParameter(
  name: string,
  patience: Patience,
  clients: KeptClients,
): Promise<string> {
  try {
    const { GetParameterCommand, SSMClient } = await import("@aws-sdk/client-ssm");
    const command = new GetParameterCommand({ Name: name, WithDecryption: true });
    const read = () =>
      usingClient(clients, SSMClient, (client) => client.send(command, timeLimit()));
    const { Parameter } = await withRights(`ssm:GetParameter on ${name}`, read, patience);
    return Parameter?.Value ?? "";
  } catch (thrown) {
    throw unavailable(`The parameter ${name}`, thrown, "ssm:GetParameter");
  }
}

async function readSecret(id: string, patience: Patience, clients: KeptClients): Promise<string> {
  try {
    const { GetSecretValueCommand, SecretsManagerClient } = await import(
      "@aws-sdk/client-secrets-manager"
    );
    const command = new GetSecretValueCommand({ SecretId: id });
    const read = () =>
      usingClient(clients, SecretsManagerClient, (client) => client.send(command, timeLimit()));
    const { SecretString } = await withRights(
      `secretsmanager:GetSecretValue on ${id}`,
      read,
      patience,
    );
    return SecretString ?? "";
  } catch (thrown) {
    const lost = toError(thrown).name === "ResourceNotFoundException" && LOOKS_WHOLE.test(id);
    throw unavailable(
      `The secret ${id}`,
      thrown,
      "secretsmanager:GetSecretValue",
      lost
        ? "Secrets Manager takes an ARN that ends in a hyphen and six characters for a whole one. If these belong to the secret's name, give its name, or its whole ARN."
        : undefined,
    );
  }
}

function timeLimit(): { readonly abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(TIMEOUT_MS) };
}

/** Calls AWS by the kept client, or by a new one. It is kept if it succeeds: a new one reads the credentials anew. */
async function usingClient<Client, Result>(
  clients: KeptClients,
  Service: new (settings: object) => Client,
  call: (client: Client) => Promise<Result>,
): Promise<Result> {
  const kept = clients.get(Service);
  const client = kept instanceof Service ? kept : new Service(CLIENT);
  clients.delete(Service);
  const result = await call(client);
  clients.set(Service, client);
  return result;
}

function unavailable(
  what: string,
  thrown: unknown,
  action: string,
  advice = "Look at its name, at the grants of the role, and at the way to the service.",
): MigratorError {
  const reason = reasonOf(thrown);
  const wayOut = isDenied(thrown)
    ? grantAdvice(`${action} on it, and kms:Decrypt on its key if that is a key of your own`)
    : advice;
  return new MigratorError(
    "SECRET_UNAVAILABLE",
    `${what} could not be read${afterWaiting(thrown)}: ${reason.replace(/\.$/, "")}. ${wayOut}`,
    { retryable: PASSING.test(reason), cause: thrown },
  );
}

/**
 * Finds the connection string in a secret. The secret is the string itself, or a JSON object. The object holds the
 * string in a field, or its parts under the names of RDS or of PostgreSQL's drivers.
 * @param field undefined for a parameter, whose field nobody can name
 */
function urlIn(secret: string, where: string, field: string | null | undefined): string {
  if (!secret.trimStart().startsWith("{")) return secret.trim();
  const fields = parse(secret);
  const key = field ?? URL_FIELDS.find((each) => typeof fields[each] === "string");
  const value = key === undefined ? fromParts(fields) : fields[key];
  if (typeof value === "string" && value.trim() !== "") return value.trim();
  const advice =
    field === undefined
      ? "Give it the string itself, or an object with the field url."
      : "Name the field with DATABASE_URL_SECRET_FIELD, or as the field of a target.";
  const inField = field ? ` in its field ${field}` : "";
  throw new MigratorError(
    "SECRET_UNAVAILABLE",
    `${where} holds no connection string${inField}. ${advice}`,
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

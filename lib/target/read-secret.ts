import { MigratorError, toError } from "../errors.ts";
import {
  afterWaiting,
  grantAdvice,
  isDenied,
  type Patience,
  reasonOf,
  withRights,
} from "../rights.ts";

/** Longest wait for an answer of AWS. */
const TIMEOUT_MS = 10_000;

/** AWS' errors that pass by themselves. */
const PASSING = /Throttl|Timeout|Abort|Network|ECONN|ENOTFOUND|Internal/i;

/** An ARN whose end Secrets Manager takes for the six characters that it adds to a name. */
const LOOKS_WHOLE = /^arn:[^:]+:secretsmanager:.*-[A-Za-z0-9]{6}$/;

/** @throws MigratorError `SECRET_UNAVAILABLE` */
export async function readParameter(name: string, patience: Patience): Promise<string> {
  try {
    const { GetParameterCommand, SSMClient } = await import("@aws-sdk/client-ssm");
    const command = new GetParameterCommand({ Name: name, WithDecryption: true });
    const read = () =>
      new SSMClient({}).send(command, { abortSignal: AbortSignal.timeout(TIMEOUT_MS) });
    const { Parameter } = await withRights(`ssm:GetParameter on ${name}`, read, patience);
    return Parameter?.Value ?? "";
  } catch (thrown) {
    throw unavailable(`The parameter ${name}`, thrown, "ssm:GetParameter");
  }
}

/** @throws MigratorError `SECRET_UNAVAILABLE` */
export async function readSecret(id: string, patience: Patience): Promise<string> {
  try {
    const { GetSecretValueCommand, SecretsManagerClient } = await import(
      "@aws-sdk/client-secrets-manager"
    );
    const command = new GetSecretValueCommand({ SecretId: id });
    const read = () =>
      new SecretsManagerClient({}).send(command, { abortSignal: AbortSignal.timeout(TIMEOUT_MS) });
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
    { retryable: PASSING.test(reason) },
  );
}

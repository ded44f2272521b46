import { Annotations, Stack, Token } from "aws-cdk-lib";
import { type IRole, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { ISecret } from "aws-cdk-lib/aws-secretsmanager";
import type { IStringParameter } from "aws-cdk-lib/aws-ssm";
import type { Construct } from "constructs";
import { parseEndpoint } from "../lib/target/endpoint.ts";

/**
 * The place of the connection string. A secret or a parameter may hold the string itself, JSON with the string in a
 * field, or JSON with its parts (`host`, `username`, `password`, `dbname`, `port`).
 */
export type DatabaseUrl = SecretDatabaseUrl | ParameterDatabaseUrl | PlainTextDatabaseUrl;

/** A secret of Secrets Manager. The template holds its ARN, never its value. */
export interface SecretDatabaseUrl {
  readonly secret: ISecret;
  /** The field of a JSON secret. @default - the whole secret, one of the usual fields, or its parts */
  readonly field?: string;
  /** The customer-managed key of an imported secret. @default - the key that the secret names, if any */
  readonly encryptionKey?: IKey;
}

/** A parameter of SSM, best a SecureString. The template holds its name, never its value. */
export interface ParameterDatabaseUrl {
  readonly parameter: IStringParameter;
  /** The customer-managed key of a SecureString. @default - the key that the parameter names, if any */
  readonly encryptionKey?: IKey;
}

/** The connection string itself: for a database that holds nothing worth protecting. */
export interface PlainTextDatabaseUrl {
  /** The connection string. Everyone who may read the template or the function's settings can read it. */
  readonly unsafePlainText: string;
}

const PLACES = ["secret", "parameter", "unsafePlainText"];

/**
 * Returns the one place that is given. An app in JavaScript may set other fields to undefined or null, which do not count.
 * @throws Error for no place, and for several
 */
export function onlyDatabaseUrl(scope: Construct, url: DatabaseUrl): DatabaseUrl {
  const fields = Object.entries(Object(url)).filter(([, value]) => (value ?? null) !== null);
  const given = fields.map(([name]) => name).filter((name) => PLACES.includes(name));
  // The type allows exactly the fields that are left.
  if (given.length === 1) return Object.fromEntries(fields) as unknown as DatabaseUrl;
  throw new Error(
    `${scope.node.path}: databaseUrl needs exactly one of secret, parameter and unsafePlainText, and has ${given.join(", ") || "none"}.`,
  );
}

/**
 * Returns the environment variables that lead the function to its database.
 * @throws Error for an invalid connection string
 */
export function databaseUrlEnvironment(
  scope: Construct,
  url: DatabaseUrl,
): Readonly<Record<string, string>> {
  if ("secret" in url) return secretEnvironment(scope, url);
  if ("parameter" in url) return { DATABASE_URL_PARAMETER: parameterIdOf(url.parameter) };
  warnOfPlainText(scope, url.unsafePlainText);
  return { DATABASE_URL: url.unsafePlainText };
}

function secretEnvironment(
  scope: Construct,
  { secret, field }: SecretDatabaseUrl,
): Readonly<Record<string, string>> {
  return {
    DATABASE_URL_SECRET: secretIdOf(scope, secret),
    ...(field === undefined ? {} : { DATABASE_URL_SECRET_FIELD: field }),
  };
}

/**
 * Returns the id by which the function reads a secret.
 * @throws Error for a secret of another region, and for a partial ARN that cannot be found
 */
export function secretIdOf(scope: Construct, secret: ISecret): string {
  const [theirs, ours] = [secret.env.region, Stack.of(scope).region];
  if (theirs !== ours && ![theirs, ours].some((region) => Token.isUnresolved(region))) {
    throw new Error(
      `${scope.node.path}: the secret is in ${theirs}, the function in ${ours}, and it reads secrets of its own region. Replicate the secret to ${ours} and name the replica.`,
    );
  }
  return idOf(scope, secret);
}

/**
 * Names a secret by its whole ARN, or by its name. Secrets Manager takes a partial ARN that ends in a hyphen and six
 * characters (`neon-direct`) for a whole one, and finds nothing. A secret of another account needs an ARN.
 * @throws Error for a partial ARN that cannot be found
 */
function idOf(scope: Construct, secret: ISecret): string {
  if (secret.secretFullArn !== undefined) return secret.secretFullArn;
  // CDK's own `secretName` has lost the end of such a name.
  const name = secret.secretArn.split(":")[6];
  const isOurs = secret.env.account === Stack.of(scope).account;
  if (name === undefined || isOurs) return name ?? secret.secretArn;
  if (Token.isUnresolved(name) || !/-[A-Za-z0-9]{6}$/.test(name)) return secret.secretArn;
  throw new Error(
    `${scope.node.path}: Secrets Manager takes the ARN of the secret ${name} for a whole one, because it ends in a hyphen and six characters, and will not find it. Name the secret by Secret.fromSecretNameV2, or by its whole ARN: Secret.fromSecretCompleteArn.`,
  );
}

/** Names a parameter by its ARN, which SSM takes, too: one imported by ARN knows only the last part of its name. */
export function parameterIdOf({ parameterArn, parameterName }: IStringParameter): string {
  return Token.isUnresolved(parameterArn) ? parameterName : parameterArn;
}

function warnOfPlainText(scope: Construct, text: string): void {
  const warn = (code: string, message: string) =>
    Annotations.of(scope).addWarningV2(`neon-lambda-migrator:${code}`, message);
  warn(
    "PLAINTEXT_DATABASE_URL",
    "The template and the function's settings hold the connection string with its password. Put it into a secret: databaseUrl: { secret }.",
  );
  if (Token.isUnresolved(text)) return;
  for (const { code, message } of parseEndpoint(text).warnings) warn(code, message);
}

/** Lets the function read its connection string, and nothing else. */
export function grantDatabaseUrl(scope: Construct, url: DatabaseUrl, role: IRole): void {
  if (!("unsafePlainText" in url)) grantReading(scope, url, role);
}

/** A secret or a parameter, with the key that it is encrypted with. */
type Readable =
  | Pick<SecretDatabaseUrl, "secret" | "encryptionKey">
  | Pick<ParameterDatabaseUrl, "parameter" | "encryptionKey">;

/** Lets the function read one secret or one parameter. */
export function grantReading(scope: Construct, readable: Readable, role: IRole): void {
  const { service, action, arn, key } = accessTo(readable);
  role.addToPrincipalPolicy(new PolicyStatement({ actions: [action], resources: [arn] }));
  if (key === undefined) return;
  // A statement of its own, because `grantDecrypt` to a principal via a service writes to the key's policy only,
  // and the policy of an imported key cannot be written.
  const { region, urlSuffix } = Stack.of(scope);
  const host = `${service}.${region}.${urlSuffix}`;
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ["kms:Decrypt"],
      resources: [key.keyArn],
      conditions: { StringEquals: { "kms:ViaService": host } },
    }),
  );
}

interface Access {
  readonly service: string;
  readonly action: string;
  readonly arn: string;
  readonly key: IKey | undefined;
}

function accessTo(readable: Readable): Access {
  if ("secret" in readable) {
    const { secret } = readable;
    return {
      service: "secretsmanager",
      action: "secretsmanager:GetSecretValue",
      // The ARN of a secret has six random characters, which its name alone does not tell.
      arn: secret.secretFullArn ?? `${secret.secretArn}-??????`,
      key: readable.encryptionKey ?? secret.encryptionKey,
    };
  }
  // A SecureString knows its key, but the interface of parameters does not have it.
  const parameter: IStringParameter & { readonly encryptionKey?: IKey } = readable.parameter;
  return {
    service: "ssm",
    action: "ssm:GetParameter",
    arn: parameter.parameterArn,
    key: readable.encryptionKey ?? parameter.encryptionKey,
  };
}

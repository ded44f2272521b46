import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { type Denial, Denials, notAuthorized } from "./denials.ts";
import { awsEnvironment, startLoopback } from "./loopback.ts";

/** A stand-in for AWS Secrets Manager and the SSM Parameter Store, on loopback. */
export interface LocalSecrets {
  /** The value for `AWS_ENDPOINT_URL`. */
  readonly url: string;
  /** The environment that makes any AWS SDK talk to this stand-in. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Gives the secret, or the parameter, of this name a value. An ARN that ends in the name finds it too.
   * @param later the values after each read, as by rotation; the last value stays
   */
  set(name: string, value: string, ...later: readonly string[]): void;
  remove(name: string): void;
  /** Answers the reads of a name with `AccessDeniedException`: for good, for a time, or for so many reads. */
  deny(name: string, denial?: SecretDenial): void;
  /** Answers so many of the next calls with `ThrottlingException`. */
  throttle(calls: number): void;
  /** Delays every answer. Default: 0. */
  setDelayMs(delayMs: number): void;
  /** Counts the reads of a name, whatever the answer was. */
  reads(name: string): number;
  /** Counts the connections that were opened so far. */
  connections(): number;
  /** The access keys that signed the calls so far. */
  readonly accessKeys: ReadonlySet<string>;
  stop(): Promise<void>;
}

/** A right to read that is missing. */
export interface SecretDenial extends Denial {
  /** What is denied: the secret or the parameter itself, or the key that it is encrypted with. Default: itself. */
  readonly of?: "itself" | "its key";
}

/** The answer to one call. */
interface Answer {
  readonly status: number;
  readonly body: object;
}

interface Store {
  /** The values of a name, one for each read; the last one stays. */
  readonly values: Map<string, readonly [string, ...string[]]>;
  readonly accessKeys: Set<string>;
  readonly reads: Map<string, number>;
  /** The rights to read the names, and to use their keys. */
  readonly denials: Readonly<Record<"itself" | "its key", Denials>>;
  delayMs: number;
  /** Calls that are still to be throttled. */
  throttled: number;
}

/** The served operations, as `X-Amz-Target` names them. */
const OPERATIONS: Readonly<Record<string, (store: Store, input: unknown) => Answer>> = {
  "secretsmanager.GetSecretValue": getSecretValue,
  "secretsmanager.CreateSecret": createSecret,
  "AmazonSSM.GetParameter": getParameter,
};

/** The JSON protocol of both services, version 1.1. */
const CONTENT_TYPE = "application/x-amz-json-1.1";

/** Starts the stand-in. It takes any credentials, because it does not check signatures. */
export async function startSecrets(): Promise<LocalSecrets> {
  const store: Store = {
    values: new Map(),
    accessKeys: new Set(),
    reads: new Map(),
    denials: { itself: new Denials(), "its key": new Denials() },
    delayMs: 0,
    throttled: 0,
  };
  const server = await startLoopback((request, response) => serve(store, request, response));
  return {
    url: server.url,
    environment: awsEnvironment(server.url),
    set: (name, value, ...later) => {
      store.values.set(name, [value, ...later]);
    },
    remove: (name) => {
      store.values.delete(name);
    },
    deny: (name, { of = "itself", ...denial } = {}) => store.denials[of].deny(name, denial),
    throttle: (calls) => {
      store.throttled = calls;
    },
    setDelayMs: (delayMs) => {
      store.delayMs = delayMs;
    },
    reads: (name) => store.reads.get(name) ?? 0,
    accessKeys: store.accessKeys,
    connections: server.connections,
    stop: server.stop,
  };
}

async function serve(
  store: Store,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const input: unknown = JSON.parse(await text(request));
  const signer = /Credential=([^/]+)\//.exec(request.headers.authorization ?? "")?.[1];
  store.accessKeys.add(signer ?? "nobody");
  const operation = OPERATIONS[String(request.headers["x-amz-target"])];
  const { status, body } = answerTo(store, operation, input);
  await pause(store.delayMs);
  response.writeHead(status, { "content-type": CONTENT_TYPE }).end(JSON.stringify(body));
}

function answerTo(
  store: Store,
  operation: (typeof OPERATIONS)[string] | undefined,
  input: unknown,
) {
  if (operation === undefined) return failure("UnknownOperationException", "");
  if (store.throttled === 0) return operation(store, input);
  store.throttled -= 1;
  return failure("ThrottlingException", "Rate exceeded");
}

function getSecretValue(store: Store, input: unknown): Answer {
  const name = nameIn(store, input, "SecretId");
  const ARN = `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${name}${SUFFIX}`;
  const refusal = refusalOf(store, name, {
    itself: notAuthorized("secretsmanager:GetSecretValue", ARN),
    "its key": "Access to KMS is not allowed",
  });
  if (refusal !== null) return refusal;
  const value = read(store, name);
  if (value === undefined) {
    return failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
  }
  return { status: 200, body: { ARN, Name: name, SecretString: value, VersionId: "1" } };
}

/** A secret that is there already is refused, as by the service. */
function createSecret(store: Store, input: unknown): Answer {
  const { Name, SecretString } = Object(input);
  const ARN = `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${Name}${SUFFIX}`;
  if (store.values.has(Name)) {
    return failure(
      "ResourceExistsException",
      `The operation failed because the secret ${Name} already exists.`,
    );
  }
  store.values.set(Name, [SecretString]);
  return { status: 200, body: { ARN, Name, VersionId: "1" } };
}

function getParameter(store: Store, input: unknown): Answer {
  const name = nameIn(store, input, "Name");
  const arn = `arn:aws:ssm:eu-central-1:123456789012:parameter/${name.replace(/^\//, "")}`;
  const refusal = refusalOf(store, name, {
    itself: notAuthorized("ssm:GetParameter", arn),
    "its key":
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
  });
  if (refusal !== null) return refusal;
  const value = read(store, name);
  if (value === undefined) return failure("ParameterNotFound", "");
  const decrypted = Reflect.get(Object(input), "WithDecryption") === true;
  const Parameter = {
    Name: name,
    Type: "SecureString",
    Value: decrypted ? value : Buffer.from(value).toString("base64"),
    Version: 1,
  };
  return { status: 200, body: { Parameter } };
}

/** Finds the name that a call means, and counts the read. */
function nameIn(store: Store, input: unknown, key: string): string {
  const asked = String(Reflect.get(Object(input), key));
  const name = [...store.values.keys()].find((each) => isNameOf(each, asked)) ?? asked;
  store.reads.set(name, (store.reads.get(name) ?? 0) + 1);
  return name;
}

function read(store: Store, name: string): string | undefined {
  const [value, ...[next, ...later]] = store.values.get(name) ?? [];
  if (next !== undefined) store.values.set(name, [next, ...later]);
  return value;
}

/** The six characters that Secrets Manager adds to the names of all secrets here. */
const SUFFIX = "-AbCdEf";

/**
 * Whether a call names this secret or parameter. An ARN of a secret that ends in a hyphen and six characters is taken for
 * a whole one, also where they belong to the name (Secrets Manager, "Secret ARN").
 */
function isNameOf(name: string, asked: string): boolean {
  if (asked === name) return true;
  const secret = /^arn:aws:secretsmanager:[^:]*:\d+:secret:(.+)$/.exec(asked)?.[1];
  if (secret !== undefined) {
    return /-[A-Za-z0-9]{6}$/.test(secret) ? secret === name + SUFFIX : secret === name;
  }
  const parameter = /^arn:aws:ssm:[^:]*:\d+:parameter(.+)$/.exec(asked)?.[1] ?? "";
  return [name, `/${name}`].includes(parameter);
}

/** The refusal of a call whose right is denied. IAM is asked before the key is. */
function refusalOf(
  { denials }: Store,
  name: string,
  words: Readonly<Record<keyof Store["denials"], string>>,
): Answer | null {
  const right = (["itself", "its key"] as const).find((each) => denials[each].strikes(name));
  return right === undefined ? null : failure("AccessDeniedException", words[right]);
}

function failure(type: string, message: string): Answer {
  return { status: 400, body: { __type: type, message } };
}

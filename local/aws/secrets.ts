import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
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
  /** Answers every read with `AccessDeniedException`; `false` stops that. */
  deny(denied?: boolean): void;
  /** Delays every answer. Default: 0. */
  setDelayMs(delayMs: number): void;
  /** Counts the reads of a name, whatever the answer was. */
  reads(name: string): number;
  /** The access keys that signed the calls so far. */
  readonly accessKeys: ReadonlySet<string>;
  stop(): Promise<void>;
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
  denied: boolean;
  delayMs: number;
}

/** The served operations, as `X-Amz-Target` names them. */
const OPERATIONS: Readonly<Record<string, (store: Store, input: unknown) => Answer>> = {
  "secretsmanager.GetSecretValue": getSecretValue,
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
    denied: false,
    delayMs: 0,
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
    deny: (denied = true) => {
      store.denied = denied;
    },
    setDelayMs: (delayMs) => {
      store.delayMs = delayMs;
    },
    reads: (name) => store.reads.get(name) ?? 0,
    accessKeys: store.accessKeys,
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
  const { status, body } = operation?.(store, input) ?? failure("UnknownOperationException", "");
  await pause(store.delayMs);
  response.writeHead(status, { "content-type": CONTENT_TYPE }).end(JSON.stringify(body));
}

function getSecretValue(store: Store, input: unknown): Answer {
  const { name, value } = read(store, input, "SecretId");
  if (store.denied) return denied("secretsmanager:GetSecretValue");
  if (value === undefined) {
    return failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
  }
  const ARN = `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${name}-AbCdEf`;
  return { status: 200, body: { ARN, Name: name, SecretString: value, VersionId: "1" } };
}

function getParameter(store: Store, input: unknown): Answer {
  const { name, value } = read(store, input, "Name");
  if (store.denied) return denied("ssm:GetParameter");
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

function read(
  store: Store,
  input: unknown,
  key: string,
): { readonly name: string; readonly value: string | undefined } {
  const asked = String(Reflect.get(Object(input), key));
  const name = [...store.values.keys()].find((each) => isNameOf(each, asked)) ?? asked;
  store.reads.set(name, (store.reads.get(name) ?? 0) + 1);
  const [value, ...[next, ...later]] = store.values.get(name) ?? [];
  if (next !== undefined) store.values.set(name, [next, ...later]);
  return { name, value };
}

/** Whether an ARN names this secret or parameter. A secret's ARN ends in six random characters behind the name. */
function isNameOf(name: string, asked: string): boolean {
  if (asked === name) return true;
  const resource =
    /^arn:aws:(?:secretsmanager:[^:]*:\d+:secret:|ssm:[^:]*:\d+:parameter)(.+)$/.exec(asked)?.[1];
  return [name, `/${name}`].includes(resource ?? "") || resource?.slice(0, -7) === name;
}

function denied(action: string): Answer {
  return failure("AccessDeniedException", `The role is not authorized to perform: ${action}`);
}

function failure(type: string, message: string): Answer {
  return { status: 400, body: { __type: type, message } };
}

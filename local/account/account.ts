/*
 * A stand-in for an AWS account, for programs as they are: `cdk deploy`, `cdk destroy`, the AWS CLI, any SDK. Their calls come
 * in at one address; stacks, functions and secrets go out. Everybody has every right that is not denied, and only functions
 * and custom resources of a stack exist.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, request as send } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type Denial, Denials, notAuthorized } from "../aws/denials.ts";
import { awsEnvironment, startLoopback } from "../aws/loopback.ts";
import { type LocalSecrets, startSecrets } from "../aws/secrets.ts";
import { type LocalLambdaService, startLambdaService } from "../lambda/service.ts";
import { type CloudFormationState, callCloudFormation, QueryFailure } from "./cloudformation.ts";
import { type AccountFunctions, arnOf, makeFunctions } from "./functions.ts";
import type { AccountStack } from "./stack.ts";
import { type XmlValue, xml } from "./xml.ts";

/** An account on loopback. */
export interface LocalAccount {
  readonly url: string;
  /** The environment that leads any program for AWS to this account. */
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: LocalSecrets;
  readonly lambda: LocalLambdaService;
  /** The stacks by their names, deleted ones included. */
  readonly stacks: ReadonlyMap<string, AccountStack>;
  /** Denies an operation of CloudFormation, STS or IAM: `CreateChangeSet`. */
  deny(operation: string, denial?: Denial): void;
  stop(): Promise<void>;
}

interface State extends CloudFormationState {
  readonly objects: Map<string, Buffer>;
  readonly functions: AccountFunctions;
  readonly secrets: LocalSecrets;
  readonly lambda: LocalLambdaService;
  readonly denials: Denials;
}

/** The version of the bootstrap stack that CDK asks for. */
const BOOTSTRAP_VERSION = "30";

/**
 * Starts the account.
 * @param variables what every function gets beside its own variables, such as the address of the relay
 */
export async function startAccount(
  variables: Readonly<Record<string, string>>,
): Promise<LocalAccount> {
  const scratch = mkdtempSync(join(tmpdir(), "account-"));
  const [secrets, lambda] = await Promise.all([startSecrets(), startLambdaService()]);
  const objects = new Map<string, Buffer>();
  let environment: Readonly<Record<string, string>> = {};
  const functions = makeFunctions(scratch, lambda, () => ({ ...environment, ...variables }));
  const stacks = new Map<string, AccountStack>();
  const object = (bucket: string, key: string) => objects.get(`/${bucket}/${key}`) ?? Buffer.of();
  const changes = new Map<string, string>();
  const denials = new Denials();
  const state: State = { objects, functions, secrets, lambda, stacks, changes, object, denials };
  const server = await startLoopback((request, response) => serve(state, request, response));
  // The AWS CLI reads only the second name of the region.
  environment = { ...awsEnvironment(server.url), AWS_DEFAULT_REGION: LOCAL_ACCOUNT.region };
  return {
    ...{ url: server.url, environment, secrets, lambda, stacks },
    deny: (operation, denial) => denials.deny(operation, denial),
    stop: async () => {
      await server.stop();
      await Promise.all([...stacks.values()].map((stack) => stack.stop()));
      await Promise.all([functions.stop(), lambda.stop(), secrets.stop()]);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const credential = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)/.exec(
    request.headers.authorization ?? "",
  );
  const body = await buffer(request);
  const service = credential?.[1] ?? "";
  if (service === "s3") return serveObject(state, request, response, body);
  if (service === "ssm" && body.includes("/cdk-bootstrap/")) {
    const Parameter = { Name: "version", Type: "String", Value: BOOTSTRAP_VERSION, Version: 1 };
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.end(JSON.stringify({ Parameter }));
    return;
  }
  if (service === "lambda" && changesCode(state, request, response, body)) return;
  if (service === "lambda") return await forward(state.lambda.url, request, response, body);
  if (request.headers["x-amz-target"] !== undefined) {
    return await forward(state.secrets.url, request, response, body);
  }
  answerQuery(state, new URLSearchParams(body.toString()), response);
}

/** Passes a call on as it is: the signature is of its headers. */
async function forward(
  to: string,
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<void> {
  const { hostname, port } = new URL(to);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    send({ hostname, port, method, path: url, headers }, resolve).on("error", reject).end(body);
  });
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  await pipeline(answer, response);
}

function serveObject(
  { objects }: State,
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void {
  const { pathname, searchParams } = new URL(url, "http://loopback");
  if (method === "PUT") {
    objects.set(pathname, body);
    response.setHeader("etag", '"stored"').end();
    return;
  }
  const key = `${pathname.replace(/\/?$/, "/")}${searchParams.get("prefix")}`;
  const found: XmlValue = objects.has(key) ? { Contents: { Key: key } } : {};
  response.setHeader("content-type", "application/xml");
  response.end(
    searchParams.has("location")
      ? xml({ LocationConstraint: LOCAL_ACCOUNT.region })
      : xml({ ListBucketResult: found }),
  );
}

/** Serves `CreateFunction` and `UpdateFunctionCode`. @returns whether the call was one of them */
function changesCode(
  { functions }: State,
  { method, url = "" }: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): boolean {
  const [, named] = /\/functions(?:\/([^/]+)\/code)?\/?$/.exec(url) ?? [];
  const isCreate = method === "POST" && /\/functions\/?$/.test(url);
  if (!isCreate && (method !== "PUT" || named === undefined)) return false;
  const { FunctionName, Code, ZipFile, Environment } = JSON.parse(body.toString());
  const name: string = named ?? FunctionName;
  const archive = Buffer.from(Code?.ZipFile ?? ZipFile, "base64");
  if (isCreate) functions.deploy(name, archive, Environment?.Variables ?? {});
  else functions.update(name, archive);
  response.writeHead(isCreate ? 201 : 200, { "content-type": "application/json" });
  const answer = { FunctionName: name, FunctionArn: arnOf(name), LastUpdateStatus: "InProgress" };
  response.end(JSON.stringify({ ...answer, CodeSize: archive.length }));
  return true;
}

function answerQuery(state: State, call: URLSearchParams, response: ServerResponse): void {
  const action = call.get("Action") ?? "";
  response.setHeader("content-type", "text/xml");
  try {
    if (state.denials.strikes(action)) {
      throw new QueryFailure("AccessDenied", notAuthorized(action, "*"));
    }
    const result = OTHERS[action]?.(call) ?? callCloudFormation(state, action, call);
    const body = { [`${action}Result`]: result, ResponseMetadata: { RequestId: "local" } };
    response.end(xml({ [`${action}Response`]: body }));
  } catch (thrown) {
    if (!(thrown instanceof QueryFailure)) throw thrown;
    const error = { Type: "Sender", Code: thrown.code, Message: thrown.message };
    response.writeHead(400).end(xml({ ErrorResponse: { Error: error } }));
  }
}

const roleOf = (call: URLSearchParams) => ({
  Path: "/",
  RoleName: call.get("RoleName") ?? "",
  RoleId: "AROALOCAL",
  Arn: `arn:aws:iam::${LOCAL_ACCOUNT.id}:role/${call.get("RoleName")}`,
  CreateDate: "2026-01-01T00:00:00Z",
});

/** The calls of STS and IAM that CDK and our pages make. */
const OTHERS: Readonly<Record<string, (call: URLSearchParams) => XmlValue>> = {
  GetCallerIdentity: () => ({
    Arn: `arn:aws:iam::${LOCAL_ACCOUNT.id}:user/local`,
    UserId: "local",
    Account: LOCAL_ACCOUNT.id,
  }),
  AssumeRole: () => ({
    Credentials: {
      AccessKeyId: "local",
      SecretAccessKey: LOCAL_ACCOUNT.secrets.local,
      SessionToken: "local",
      Expiration: "2099-01-01T00:00:00Z",
    },
  }),
  CreateRole: (call) => ({ Role: roleOf(call) }),
  PutRolePolicy: () => ({}),
  AttachRolePolicy: () => ({}),
};

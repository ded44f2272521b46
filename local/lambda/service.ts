import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type Denial, Denials, notAuthorized } from "../aws/denials.ts";
import { serviceEnvironment, startLoopback } from "../aws/loopback.ts";
import { signatureProblem } from "../aws/signature.ts";
import { type Answer, refusal, send } from "./answers.ts";
import { describeFunction } from "./description.ts";
import { answerInvoke, type Call } from "./invoke.ts";
import type { LocalLambda } from "./lambda.ts";
import { type Deployed, type Found, type FunctionSettings, findFunction } from "./registry.ts";
import { answerStream } from "./stream.ts";

/** A stand-in for AWS Lambda's API, on loopback, for the AWS CLI, any SDK, and Terraform. */
export interface LocalLambdaService {
  readonly url: string;
  /** The environment that makes any AWS SDK talk to this stand-in for Lambda, with the right credentials. */
  readonly environment: Readonly<Record<string, string>>;
  /** Registers a function by the name in its ARN. A function of the same name is replaced. */
  deploy(lambda: LocalLambda, settings?: FunctionSettings): void;
  /** Forgets a function. */
  remove(name: string): void;
  /** Every accepted invocation, in order. */
  readonly calls: readonly Call[];
  /** Answers the next calls with this error (`TooManyRequestsException`), and starts nothing. */
  refuse(count: number, type: string): void;
  /** Answers calls with `AccessDeniedException`, and starts nothing: for good, for a time, or so many of them. */
  deny(denial?: Denial): void;
  /** Cuts the connection of the next calls as soon as their function has started. */
  cut(count: number): void;
  /** Settles when every call has ended, its repetitions included. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** The settings of the stand-in. */
export interface ServiceOptions {
  /** A fixed port. Default: a free one. */
  readonly port?: number;
}

/** The functions, the calls so far, and the faults on command. */
interface State {
  readonly functions: Map<string, Deployed>;
  readonly calls: Call[];
  refusals: { count: number; type: string };
  cuts: number;
  readonly denials: Denials;
}

/** The one right here, under which it is denied. */
const INVOKING = "invoking";

const PATH = /^\/20\d\d-\d\d-\d\d\/functions\/(?<name>[^/]+)(?<rest>\/.*)?$/;
const STATUS: Readonly<Record<string, number>> = {
  TooManyRequestsException: 429,
  AccessDeniedException: 403,
  ResourceConflictException: 409,
};

/** Starts the stand-in. It accepts only calls that are signed with its credentials for its region. */
export async function startLambdaService(
  options: ServiceOptions = {},
): Promise<LocalLambdaService> {
  const state: State = {
    functions: new Map(),
    calls: [],
    refusals: { count: 0, type: "" },
    cuts: 0,
    denials: new Denials(),
  };
  const server = await startLoopback(
    (request, response) => serve(state, request, response),
    options.port,
  );
  return {
    url: server.url,
    environment: serviceEnvironment("LAMBDA", server.url),
    deploy: (lambda, settings = {}) => {
      state.functions.set(lambda.functionArn.split(":")[6] ?? "", { lambda, settings });
    },
    remove: (name) => {
      state.functions.delete(name);
    },
    calls: state.calls,
    refuse: (count, type) => {
      state.refusals = { count, type };
    },
    deny: (denial) => state.denials.deny(INVOKING, denial),
    cut: (count) => {
      state.cuts = count;
    },
    idle: async () => {
      await Promise.all(state.calls.map(({ attempts }) => attempts));
    },
    stop: () => server.stop(),
  };
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "", url: target = "/", headers } = request;
  const body = await buffer(request);
  const problem = await signatureProblem(
    { method, target, headers, body },
    { ...LOCAL_ACCOUNT, service: "lambda" },
  );
  const answer =
    problem === null
      ? await dispatch(state, request, response, body)
      : refusal(403, problem.type, problem.message);
  const requestId = { "x-amzn-requestid": randomUUID() };
  await send(response, { ...answer, headers: { ...requestId, ...answer.headers } });
}

async function dispatch(
  state: State,
  { method, url = "/", headers }: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<Answer> {
  const { pathname, searchParams } = new URL(url, "http://loopback");
  const { name = "", rest = "" } = PATH.exec(pathname)?.groups ?? {};
  const operation = OPERATIONS[`${method} ${rest}`];
  if (operation === undefined || name === "") {
    return refusal(404, "UnknownOperationException", "This stand-in does not have the operation.");
  }
  if (state.denials.strikes(INVOKING)) {
    const words = notAuthorized("lambda:InvokeFunction", decodeURIComponent(name));
    return refusal(403, "AccessDeniedException", words);
  }
  const injected = refused(state);
  if (injected !== null) return injected;
  const found = findFunction(
    state.functions,
    decodeURIComponent(name),
    searchParams.get("Qualifier") ?? undefined,
  );
  if ("status" in found) return found;
  return await operation({ ...found, state, headers, body, response });
}

/** One call of the API for a known function. */
interface Operation extends Found {
  readonly state: State;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly response: ServerResponse;
}

const OPERATIONS: Readonly<Record<string, (operation: Operation) => Answer | Promise<Answer>>> = {
  "POST /invocations": (operation) => answerInvoke(operation, taker(operation)),
  "POST /response-streaming-invocations": (operation) => answerStream(operation, taker(operation)),
  "GET ": ({ deployed, qualifier }) => ({
    status: 200,
    body: describeFunction(deployed, qualifier),
  }),
  // Terraform asks for the newest version first.
  "GET /versions": ({ deployed, qualifier }) => ({
    status: 200,
    body: { Versions: [describeFunction(deployed, qualifier).Configuration] },
  }),
  // Terraform asks for this, too, and takes a function without one for unsigned.
  "GET /code-signing-config": () => ({ status: 200, body: {} }),
  "GET /configuration": ({ deployed, qualifier }) => ({
    status: 200,
    body: describeFunction(deployed, qualifier).Configuration,
  }),
};

/** Makes a function that notes an accepted call, and cuts its connection if `cut` asked for that. */
function taker({ state, response }: Operation): (call: Call) => void {
  return (call) => {
    state.calls.push(call);
    if (state.cuts === 0) return;
    state.cuts -= 1;
    response.destroy();
  };
}

function refused({ refusals }: State): Answer | null {
  if (refusals.count === 0) return null;
  refusals.count -= 1;
  const { type } = refusals;
  return refusal(STATUS[type] ?? 500, type, "The stand-in was told to refuse.");
}

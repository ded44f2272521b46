/*
 * A stand-in for CodePipeline and CodeDeploy. A function's calls come in, and are checked by the services' models. Answers
 * go out, faults on command included. It starts no deployment, and sends no event.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { type Denial, Denials, notAuthorized } from "../aws/denials.ts";
import { awsEnvironment, startLoopback } from "../aws/loopback.ts";
import { problemOf } from "./contract.ts";

/** A stand-in on loopback for the APIs by which a function answers CodePipeline and CodeDeploy. */
export interface LocalDeployments {
  readonly url: string;
  /** The environment that makes any AWS SDK talk to this stand-in. */
  readonly environment: Readonly<Record<string, string>>;
  /** Every call in order, refused ones included. */
  readonly calls: readonly DeploymentCall[];
  /** Answers the next calls with this status, and accepts none of them. */
  failCalls(count: number, status: number): void;
  /** Answers calls with `AccessDeniedException`: for good, for a time, or so many of them. */
  deny(denial?: Denial): void;
  /** Answers every call with this AWS error; null stops that. */
  refuse(error: string | null): void;
  stop(): Promise<void>;
}

/** One call of the API. */
export interface DeploymentCall {
  /** The operation's name: `PutJobSuccessResult`. */
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The name of the error in the answer; null for a call that was accepted. */
  readonly refusedWith: string | null;
}

interface State {
  readonly calls: DeploymentCall[];
  readonly settled: Set<unknown>;
  failures: { count: number; status: number };
  refusal: string | null;
  readonly denials: Denials;
}

/** The one right here, under which it is denied. */
const ANSWERING = "answering";

/** The error for a second answer. */
const ALREADY: Readonly<Record<string, string>> = {
  PutJobSuccessResult: "InvalidJobStateException",
  PutJobFailureResult: "InvalidJobStateException",
  PutLifecycleEventHookExecutionStatus: "LifecycleEventAlreadyCompletedException",
};

/** Starts the stand-in. It checks every call by the services' models, and accepts one answer per job. */
export async function startDeployments(): Promise<LocalDeployments> {
  const state: State = {
    calls: [],
    settled: new Set(),
    failures: { count: 0, status: 503 },
    refusal: null,
    denials: new Denials(),
  };
  const server = await startLoopback((request, response) => serve(state, request, response));
  return {
    url: server.url,
    environment: awsEnvironment(server.url),
    calls: state.calls,
    failCalls: (count, status) => {
      state.failures = { count, status };
    },
    deny: (denial) => state.denials.deny(ANSWERING, denial),
    refuse: (error) => {
      state.refusal = error;
    },
    stop: server.stop,
  };
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const target = String(request.headers["x-amz-target"]);
  const input: Record<string, unknown> = JSON.parse(await text(request));
  const operation = target.slice(target.indexOf(".") + 1);
  if (state.failures.count > 0) {
    state.failures.count -= 1;
    response.writeHead(state.failures.status).end();
    return;
  }
  const [refusedWith, message] = refusalOf(state, target, input);
  state.calls.push({ operation, input, refusedWith });
  const body = refusedWith === null ? {} : { __type: refusedWith, message };
  response
    .writeHead(refusedWith === null ? 200 : 400, { "content-type": "application/x-amz-json-1.1" })
    .end(JSON.stringify(body));
}

function refusalOf(
  state: State,
  target: string,
  input: Readonly<Record<string, unknown>>,
): readonly [string | null, string] {
  if (state.refusal !== null) return [state.refusal, "The stand-in was told to refuse."];
  if (state.denials.strikes(ANSWERING)) {
    const [service = "", operation = ""] = target.split(/_\d+\./);
    const words = notAuthorized(`${service.toLowerCase()}:${operation}`, "*");
    return ["AccessDeniedException", words];
  }
  const problem = problemOf(target, input);
  if (problem === undefined) return ["UnknownOperationException", target];
  if (problem !== null) return ["ValidationException", problem];
  const key = input.jobId ?? input.lifecycleEventHookExecutionId;
  const operation = target.slice(target.indexOf(".") + 1);
  if (state.settled.has(key)) return [ALREADY[operation] ?? "", "It was answered before."];
  state.settled.add(key);
  return [null, ""];
}

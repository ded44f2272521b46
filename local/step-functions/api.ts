import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { asRecord, parseJson } from "../../lib/json.ts";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { signatureProblem } from "../aws/signature.ts";
import { ApiError } from "./api-error.ts";
import type { HistoryEvent } from "./history.ts";
import type { Machines } from "./machines.ts";
import { describeExecution, describeMapRun, listedExecution, listedMapRun } from "./views.ts";

/** The input of a call. */
type Input = Readonly<Record<string, unknown>>;

const CONTENT_TYPE = "application/x-amz-json-1.0";
const TARGET = /^AWSStepFunctions\.(?<operation>\w+)$/;

/** The served operations. */
const OPERATIONS: Readonly<Record<string, (machines: Machines, input: Input) => object>> = {
  StartExecution: startExecution,
  DescribeExecution: (machines, input) =>
    describeExecution(machines, machines.find(arnIn(input, "executionArn"))),
  ListExecutions: listExecutions,
  DescribeMapRun: (machines, input) =>
    describeMapRun(machines.findMapRun(arnIn(input, "mapRunArn"))),
  ListMapRuns: (machines, input) => {
    const { mapRuns } = machines.find(arnIn(input, "executionArn"));
    return page("mapRuns", mapRuns.toReversed().map(listedMapRun), input);
  },
  StopExecution: (machines, input) => {
    const execution = machines.find(arnIn(input, "executionArn"));
    machines.stop(execution, { ...words(input, "error"), ...words(input, "cause") });
    return { stopDate: seconds(execution.stopMs ?? 0) };
  },
  RedriveExecution: (machines, input) => {
    machines.redrive(machines.find(arnIn(input, "executionArn")));
    return { redriveDate: seconds(machines.world.clock.now()) };
  },
  GetExecutionHistory: getExecutionHistory,
};

/** Answers one call. It accepts only calls that are signed with the stand-ins' credentials for their region. */
export async function serve(
  machines: Machines,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "", url: target = "/", headers } = request;
  const body = await buffer(request);
  const problem = await signatureProblem(
    { method, target, headers, body },
    { ...LOCAL_ACCOUNT, service: "states" },
  );
  const answer =
    problem === null
      ? answerOf(machines, String(headers["x-amz-target"]), parseJson(body.toString()))
      : { status: 400, body: { __type: problem.type, message: problem.message } };
  response
    .writeHead(answer.status, { "content-type": CONTENT_TYPE, "x-amzn-requestid": randomUUID() })
    .end(JSON.stringify(answer.body));
}

function answerOf(machines: Machines, target: string, input: unknown) {
  const name = TARGET.exec(target)?.groups?.operation ?? target;
  try {
    const operation = OPERATIONS[name];
    if (operation === undefined) {
      throw new ApiError("UnknownOperationException", `${name} is not stood in for.`);
    }
    return { status: 200, body: operation(machines, asRecord(input)) };
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    return { status: 400, body: { __type: thrown.name, message: thrown.message } };
  }
}

function startExecution(machines: Machines, input: Input): object {
  checkMachine(machines, input);
  const { name } = input;
  const text = typeof input.input === "string" ? input.input : "{}";
  const execution = machines.start(text, typeof name === "string" ? name : undefined);
  return { executionArn: execution.arn, startDate: seconds(execution.startMs) };
}

function listExecutions(machines: Machines, input: Input): object {
  const { statusFilter, mapRunArn } = input;
  if (mapRunArn === undefined) checkMachine(machines, input);
  const found =
    mapRunArn === undefined
      ? machines.executions()
      : machines
          .findMapRun(arnIn(input, "mapRunArn"))
          .children.filter((child) => child !== undefined)
          .reverse();
  const listed = found.filter(
    ({ status }) => statusFilter === undefined || status === statusFilter,
  );
  return page("executions", listed.map(listedExecution), input);
}

function getExecutionHistory(machines: Machines, input: Input): object {
  const { events, isForgotten } = machines.find(arnIn(input, "executionArn")).history;
  if (isForgotten) {
    const words = "This stand-in keeps the histories of 1,000 succeeded children of a map.";
    throw new ApiError("ExecutionDoesNotExist", words);
  }
  const ordered = input.reverseOrder === true ? events.toReversed() : events;
  return page("events", ordered.map(shown), input);
}

function shown({ timestamp, ...event }: HistoryEvent): object {
  return { ...event, timestamp: seconds(timestamp) };
}

/** The most entries of a page, and as many as there are without a wish (API reference). */
const MAX_RESULTS = 1_000;
const RESULTS = 100;

/** Cuts the asked page out of a list. */
function page(name: string, list: readonly object[], { maxResults, nextToken }: Input): object {
  const from = nextToken === undefined ? 0 : offsetIn(String(nextToken));
  const wished = typeof maxResults === "number" && maxResults > 0 ? maxResults : RESULTS;
  const to = from + Math.min(wished, MAX_RESULTS);
  const entries = list.slice(from, to);
  if (to >= list.length) return { [name]: entries };
  return { [name]: entries, nextToken: Buffer.from(String(to)).toString("base64") };
}

function offsetIn(token: string): number {
  const offset = Number(Buffer.from(token, "base64").toString());
  if (Number.isInteger(offset) && offset > 0) return offset;
  throw new ApiError("InvalidToken", `Invalid Token: '${token}'`);
}

function checkMachine(machines: Machines, input: Input): void {
  const arn = arnIn(input, "stateMachineArn");
  if (arn === machines.arn) return;
  throw new ApiError("StateMachineDoesNotExist", `State Machine Does Not Exist: '${arn}'`);
}

function arnIn(input: Input, name: string): string {
  const arn = String(input[name] ?? "");
  if (arn.startsWith("arn:aws:states:")) return arn;
  throw new ApiError("InvalidArn", `Invalid Arn: 'Invalid ARN prefix: ${arn}'`);
}

function words(input: Input, name: "error" | "cause"): object {
  const value = input[name];
  return typeof value === "string" ? { [name]: value } : {};
}

function seconds(ms: number): number {
  return ms / 1_000;
}

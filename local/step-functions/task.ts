import { randomUUID } from "node:crypto";
import { asRecord, isRecord } from "../../lib/json.ts";
import type { TaskState } from "./definition.ts";
import { Aborted, StateError, untilAborted } from "./errors.ts";
import { integer, QueryError } from "./expressions.ts";
import { limitedError, limitedJson } from "./limits.ts";
import type { Visit } from "./visit.ts";
import type { InvokeAnswer } from "./world.ts";

const LAMBDA = { resource: "invoke", resourceType: "lambda" };
/** The longest time of a task, and the one without `TimeoutSeconds` (States Language, "Task State"). */
const MAX_TIMEOUT_SECONDS = 99_999_999;
/** The longest wait of Node's timers. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls a function once, as `states:::lambda:invoke` does. @returns the task's result */
export async function invokeFunction(
  visit: Visit,
  state: TaskState,
  retryCount: number,
): Promise<unknown> {
  const bindings = visit.bindings({}, visit.context(retryCount));
  const parameters = asRecord(await state.arguments?.(bindings));
  const timeoutSeconds = await timeoutOf(state, bindings);
  limitedJson(parameters, "lambda", { isTerminal: false });
  visit.history.add("TaskScheduled", {
    ...LAMBDA,
    region: visit.world.region,
    parameters: JSON.stringify(parameters),
    ...(timeoutSeconds === undefined ? {} : { timeoutInSeconds: timeoutSeconds }),
  });
  visit.history.add("TaskStarted", LAMBDA);
  try {
    const answer = await answerOf(visit, parameters, timeoutSeconds ?? MAX_TIMEOUT_SECONDS);
    const result = resultOf(answer, parameters);
    const output = limitedJson(result, "lambda", { isTerminal: false });
    visit.history.add("TaskSucceeded", { ...LAMBDA, output, outputDetails: { truncated: false } });
    return result;
  } catch (thrown) {
    if (thrown instanceof StateError && !thrown.isTerminal) tell(visit, thrown);
    throw thrown;
  }
}

function tell({ history }: Visit, { error, reason }: StateError): void {
  const isLate = error === "States.Timeout";
  const cause = reason === undefined ? {} : { cause: reason };
  history.add(isLate ? "TaskTimedOut" : "TaskFailed", { ...LAMBDA, error, ...cause });
}

async function timeoutOf(
  { timeoutSeconds }: TaskState,
  bindings: Parameters<NonNullable<TaskState["timeoutSeconds"]>>[0],
): Promise<number | undefined> {
  if (timeoutSeconds === null) return undefined;
  const seconds = integer(await timeoutSeconds(bindings), "TimeoutSeconds");
  if (seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS) return seconds;
  throw new QueryError("TimeoutSeconds", `The TimeoutSeconds are out of range: ${seconds}`);
}

/** Waits for the function, for the time-out or for the end of the execution. The function itself goes on in any case. */
async function answerOf(
  visit: Visit,
  { FunctionName, Payload }: Readonly<Record<string, unknown>>,
  timeoutSeconds: number,
): Promise<InvokeAnswer> {
  const payload: unknown = Payload === undefined ? {} : JSON.parse(JSON.stringify(Payload));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const ms = Math.min(timeoutSeconds * 1_000, MAX_TIMER_MS);
    timer = setTimeout(() => reject(new StateError("States.Timeout")), ms);
  });
  const called = visit.world.invoke(String(FunctionName), payload);
  try {
    return await untilAborted(Promise.race([called, late]), visit.signal);
  } catch (thrown) {
    if (thrown instanceof StateError || thrown instanceof Aborted) throw thrown;
    throw refusal(thrown);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the result of the task; a function that threw is an error by the name of its type. */
function resultOf(
  { payload, functionError }: InvokeAnswer,
  { FunctionName }: Readonly<Record<string, unknown>>,
): object {
  if (functionError !== null) {
    const type = isRecord(payload) ? payload.errorType : undefined;
    const error = typeof type === "string" && type !== "" ? type : "Lambda.Unknown";
    throw limitedError(error, JSON.stringify(payload) ?? "");
  }
  const version = String(FunctionName).split(":")[7] ?? "$LATEST";
  return { ExecutedVersion: version, Payload: payload ?? null, ...metadata(version) };
}

/** The service hands the headers of Lambda's answer on, twice. They count towards the size of a result. */
function metadata(version: string): object {
  const requestId = randomUUID();
  const headers = {
    Connection: "keep-alive",
    "Content-Type": "application/json",
    "X-Amz-Executed-Version": version,
    "x-amzn-Remapped-Content-Length": "0",
    "x-amzn-RequestId": requestId,
  };
  const lists = Object.entries(headers).map(([name, value]) => [name, [value]]);
  return {
    SdkHttpMetadata: {
      AllHttpHeaders: Object.fromEntries(lists),
      HttpHeaders: headers,
      HttpStatusCode: 200,
    },
    SdkResponseMetadata: { RequestId: requestId },
    StatusCode: 200,
  };
}

/** The service's name for a call that Lambda refused, or that did not reach it. */
function refusal(thrown: unknown): StateError {
  const { name, message, $metadata } = Object(thrown);
  if (!/Exception$/.test(name)) {
    return limitedError("Lambda.SdkClientException", String(message ?? thrown));
  }
  const status = asRecord($metadata).httpStatusCode ?? 400;
  return limitedError(
    `Lambda.${name}`,
    `${message} (Service: AWSLambda; Status Code: ${status}; Error Code: ${name}; Request ID: ${randomUUID()}; Proxy: null)`,
  );
}

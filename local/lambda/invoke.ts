import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type Answer, refusal } from "./answers.ts";
import type { CallOptions, Invocation } from "./lambda.ts";
import type { Found } from "./registry.ts";

/** An invocation that the service accepted. */
export interface Call {
  readonly type: "RequestResponse" | "Event";
  readonly functionArn: string;
  readonly requestId: string;
  readonly event: unknown;
  /** Every attempt of the invocation. */
  readonly attempts: Promise<readonly Invocation[]>;
}

/** An `Invoke` as it arrived. */
export interface Invoke extends Found {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The largest payload of an invocation (AWS Lambda quotas): 6 MB, and 1 MB for a queued one. */
const MAX_BYTES = 6_291_456;
const MAX_QUEUED_BYTES = 1_048_576;
/** The length of the log's end that comes with an answer (AWS Lambda API reference, Invoke, `LogType`). */
const LOG_TAIL_BYTES = 4_096;

/**
 * Carries an `Invoke` out.
 * @param taken called when the function has been called
 */
export async function answerInvoke(invoke: Invoke, taken: (call: Call) => void): Promise<Answer> {
  const { headers, body } = invoke;
  const type = headers["x-amz-invocation-type"] ?? "RequestResponse";
  const problem = problemOf(String(type), body);
  if (problem !== null) return problem;
  if (type === "DryRun") return { status: 204 };
  let streamed = "";
  const onPart = (part: string) => {
    streamed += part;
    return true;
  };
  const call = startCall(invoke, { queued: type === "Event", onPart });
  taken(call);
  const requestId = { "x-amzn-requestid": call.requestId };
  if (call.type === "Event") return { status: 202, headers: requestId };
  const ended = await endOf(call);
  const { functionError, payload } = ended;
  return {
    status: 200,
    headers: {
      ...requestId,
      "x-amz-executed-version": "$LATEST",
      ...(functionError === null ? {} : { "x-amz-function-error": functionError }),
      ...(headers["x-amz-log-type"] === "Tail" ? { "x-amz-log-result": logTail(ended) } : {}),
    },
    body: functionError === null && streamed !== "" ? streamed : JSON.stringify(payload),
  };
}

/** Returns Lambda's refusal before it starts a function; null for a good call. */
export function problemOf(type: string, body: Buffer): Answer | null {
  if (!["RequestResponse", "Event", "DryRun"].includes(type)) {
    return refusal(400, "InvalidParameterValueException", `Unknown invocation type: ${type}`);
  }
  // The service uses another name for this error than its own model (`RequestTooLargeException`).
  if (body.length > MAX_BYTES) {
    const message = `Request must be smaller than ${MAX_BYTES} bytes for the InvokeFunction operation`;
    return refusal(413, "RequestEntityTooLargeException", message);
  }
  if (type === "Event" && body.length > MAX_QUEUED_BYTES) {
    const message = `${body.length} byte payload is too large for the Event invocation type (limit ${MAX_QUEUED_BYTES} bytes)`;
    return refusal(413, "RequestEntityTooLargeException", message);
  }
  return isJson(body) ? null : notJson();
}

/** Calls the function, or puts the event into its queue. */
export function startCall(
  { deployed, qualifier, body }: Invoke,
  { queued = false, onPart }: { readonly queued?: boolean } & Pick<CallOptions, "onPart">,
): Call {
  const { lambda, settings } = deployed;
  const requestId = randomUUID();
  const event = eventIn(body);
  const call = {
    requestId,
    ...(qualifier === undefined ? {} : { qualifier }),
    ...(onPart === undefined ? {} : { onPart }),
  };
  const { maximumRetryAttempts } = settings;
  return {
    type: queued ? "Event" : "RequestResponse",
    functionArn:
      qualifier === undefined ? lambda.functionArn : `${lambda.functionArn}:${qualifier}`,
    requestId,
    event,
    attempts: queued
      ? lambda.invokeAsync(event, {
          ...call,
          ...(maximumRetryAttempts === undefined ? {} : { maximumRetryAttempts }),
        })
      : lambda.invoke(event, call).then((invocation) => [invocation]),
  };
}

/** Waits for the end of a call that is not repeated. */
export async function endOf({ attempts }: Call): Promise<Invocation> {
  const [ended] = await attempts;
  if (ended === undefined) throw new Error("A call ended without an attempt.");
  return ended;
}

/** Reads the event. A call without a payload reaches the function as an empty object. */
function eventIn(body: Buffer): unknown {
  return body.length === 0 ? {} : JSON.parse(body.toString());
}

function isJson(body: Buffer): boolean {
  try {
    eventIn(body);
    return true;
  } catch {
    return false;
  }
}

function notJson(): Answer {
  const message =
    "Could not parse request body into json: Could not parse payload into json: Unexpected character: expected a valid JSON value";
  return refusal(400, "InvalidRequestContentException", message);
}

/** Returns the end of a call's log with Lambda's own lines around it, in base64. */
export function logTail({ requestId, durationMs, logs }: Invocation): string {
  const lines = [
    `START RequestId: ${requestId} Version: $LATEST`,
    ...logs,
    `END RequestId: ${requestId}`,
    `REPORT RequestId: ${requestId}\tDuration: ${durationMs.toFixed(2)} ms\tBilled Duration: ${Math.ceil(durationMs)} ms\tMemory Size: 512 MB\tMax Memory Used: 128 MB\t`,
  ];
  return Buffer.from(`${lines.join("\n")}\n`)
    .subarray(-LOG_TAIL_BYTES)
    .toString("base64");
}

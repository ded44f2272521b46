import { setTimeout as pause } from "node:timers/promises";
import type { LambdaClient } from "@aws-sdk/client-lambda";
import type { Log } from "../../lib/log.ts";
import { invokeFailure } from "./errors.ts";

/** One call of a function that is deployed. */
export interface FunctionCall {
  /** Name or ARN. An alias or a version may follow behind a colon. */
  readonly functionName: string;
  /** JSON. */
  readonly payload: string;
  /** How long the call is tried again while Lambda has no room for the function, in ms. */
  readonly patienceMs: number;
  readonly log: Log;
  /** Gets each line of a streamed answer as it comes. If it is given, the answer has the end of the log. */
  readonly onLine?: (line: string) => void;
}

/** The answer of a function. */
export interface FunctionAnswer {
  readonly requestId: string;
  readonly payload: string;
  /** Lambda's code and details of a failure; null where Lambda reports success. */
  readonly error: { readonly code: string; readonly details: string } | null;
  /** The last 4 KB of the log; empty when nobody asked for them. */
  readonly logTail: string;
}

/** Connecting takes this long only when a packet is lost. */
const CONNECT_TIMEOUT_MS = 10_000;
/** NAT gateways and load balancers forget a connection that is idle for 350 s (their AWS documentation). */
const KEEP_ALIVE_MS = 30_000;
const UNREACHABLE_PATIENCE_MS = 3_000;
const MAX_PAUSE_MS = 10_000;

/**
 * Calls the function and waits for its answer without a limit: the function's own time-out is the last end. A call that
 * may have started the function is never repeated, by us or by the SDK, because the function would run again.
 * @throws MigratorError `AWS_SETTINGS_MISSING`, `FUNCTION_NOT_FOUND`, `FUNCTION_DENIED` or `FUNCTION_UNAVAILABLE` where
 *   the function was not started; `RUN_UNKNOWN` where nobody knows the end of the run
 */
export async function callFunction(call: FunctionCall): Promise<FunctionAnswer> {
  const started = Date.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await callOnce(call);
    } catch (thrown) {
      const { error, again } = invokeFailure(thrown, call.functionName);
      const patienceMs = again === "soon" ? UNREACHABLE_PATIENCE_MS : call.patienceMs;
      const pauseMs = Math.min(250 * 2 ** attempt, MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
      if (again === "never" || Date.now() - started + pauseMs > patienceMs) throw error;
      call.log("invoke.retry", { attempt, message: error.message });
      await pause(pauseMs);
    }
  }
}

/** The input of both operations. */
interface Input {
  readonly FunctionName: string;
  readonly Payload: string;
}

async function callOnce({ functionName, payload, onLine }: FunctionCall): Promise<FunctionAnswer> {
  // Loaded on demand, so that no other command needs the AWS SDK.
  const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
  const region = /^arn:[^:]+:lambda:([^:]+):/.exec(functionName)?.[1];
  const client = new LambdaClient({
    ...(region === undefined ? {} : { region }),
    maxAttempts: 1,
    requestHandler: {
      requestTimeout: 0,
      socketTimeout: 0,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS },
      httpsAgent: { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS },
    },
  });
  try {
    const input: Input = { FunctionName: functionName, Payload: payload };
    if (onLine !== undefined) return await stream(client, input, onLine);
    const answer = await client.send(new InvokeCommand(input));
    const said = answer.Payload?.transformToString() ?? "";
    const { FunctionError: code } = answer;
    return {
      requestId: answer.$metadata.requestId ?? "",
      payload: said,
      error: code === undefined ? null : { code, details: said },
      logTail: "",
    };
  } finally {
    client.destroy();
  }
}

/** Calls by another operation, with the same permission. It follows a function that streams line by line. */
async function stream(
  client: LambdaClient,
  input: Input,
  onLine: (line: string) => void,
): Promise<FunctionAnswer> {
  const { InvokeWithResponseStreamCommand } = await import("@aws-sdk/client-lambda");
  const command = new InvokeWithResponseStreamCommand({ ...input, LogType: "Tail" });
  const { EventStream = [], $metadata } = await client.send(command);
  const decoder = new TextDecoder();
  let payload = "";
  let shown = 0;
  for await (const { PayloadChunk, InvokeComplete } of EventStream) {
    payload += decoder.decode(PayloadChunk?.Payload, { stream: true });
    for (let end = payload.indexOf("\n", shown); end >= 0; end = payload.indexOf("\n", shown)) {
      onLine(payload.slice(shown, end));
      shown = end + 1;
    }
    if (InvokeComplete === undefined) continue;
    const { ErrorCode: code, ErrorDetails: details = "", LogResult = "" } = InvokeComplete;
    return {
      requestId: $metadata.requestId ?? "",
      payload,
      error: code === undefined ? null : { code, details: details === "" ? payload : details },
      logTail: Buffer.from(LogResult, "base64").toString(),
    };
  }
  throw new Error("The stream ended before the function did");
}

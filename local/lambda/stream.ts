import { PassThrough } from "node:stream";
import { EventStreamCodec } from "@smithy/core/event-streams";
import { fromUtf8, toUtf8 } from "@smithy/core/serde";
import type { Answer } from "./answers.ts";
import { type Call, endOf, type Invoke, logTail, problemOf, startCall } from "./invoke.ts";
import type { Invocation } from "./lambda.ts";

const codec = new EventStreamCodec(toUtf8, fromUtf8);

/**
 * Carries an `InvokeWithResponseStream` out. The answer of a handler that streams goes out part by part as it comes, and
 * that of any other handler in one chunk.
 * @param taken called when the function has been called
 */
export function answerStream(invoke: Invoke, taken: (call: Call) => void): Answer {
  const problem = problemOf("RequestResponse", invoke.body);
  if (problem !== null) return problem;
  const stream = new PassThrough();
  let streams = false;
  const onPart = (part: string) => {
    streams = true;
    stream.write(message("PayloadChunk", "application/octet-stream", part));
    return !stream.destroyed;
  };
  const call = startCall(invoke, { onPart });
  taken(call);
  const finish = async () => {
    const ended = await endOf(call);
    if (!streams) onPart(JSON.stringify(ended.payload));
    const wantsLog = invoke.headers["x-amz-log-type"] === "Tail";
    const complete = { ...failureIn(ended), ...(wantsLog ? { LogResult: logTail(ended) } : {}) };
    stream.end(message("InvokeComplete", "application/json", JSON.stringify(complete)));
  };
  finish().catch((thrown: Error) => stream.destroy(thrown));
  return {
    status: 200,
    headers: {
      "content-type": "application/vnd.amazon.eventstream",
      "x-amzn-requestid": call.requestId,
      "x-amz-executed-version": "$LATEST",
    },
    body: stream,
  };
}

function failureIn({ functionError, payload }: Invocation): object {
  if (functionError === null) return {};
  return { ErrorCode: functionError, ErrorDetails: JSON.stringify(payload) };
}

function message(event: string, contentType: string, text: string): Uint8Array {
  const header = (value: string) => ({ type: "string" as const, value });
  return codec.encode({
    headers: {
      ":message-type": header("event"),
      ":event-type": header(event),
      ":content-type": header(contentType),
    },
    body: Buffer.from(text),
  });
}

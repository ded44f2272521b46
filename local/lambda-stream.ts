import { EventStreamCodec } from "@smithy/core/event-streams";
import { fromUtf8, toUtf8 } from "@smithy/core/serde";
import type { Answer } from "./lambda-answers.ts";
import { type Call, type Invoke, logTail, problemOf, startCall } from "./lambda-invoke.ts";

const codec = new EventStreamCodec(toUtf8, fromUtf8);

/**
 * Carries an `InvokeWithResponseStream` out, for a handler that does not stream: its whole answer is one chunk.
 * @param taken is told when the function has been called
 */
export async function answerStream(invoke: Invoke, taken: (call: Call) => void): Promise<Answer> {
  const { headers, body } = invoke;
  const problem = problemOf("RequestResponse", body);
  if (problem !== null) return problem;
  const call = startCall(invoke, false);
  taken(call);
  const [ended] = await call.attempts;
  if (ended === undefined) throw new Error("A call ended without an attempt.");
  const { payload, functionError } = ended;
  const complete = {
    ...(functionError === null ? {} : { ErrorCode: functionError, ErrorDetails: "" }),
    ...(headers["x-amz-log-type"] === "Tail" ? { LogResult: logTail(ended) } : {}),
  };
  return {
    status: 200,
    headers: {
      "content-type": "application/vnd.amazon.eventstream",
      "x-amzn-requestid": call.requestId,
      "x-amz-executed-version": "$LATEST",
    },
    body: Buffer.concat([
      message("PayloadChunk", "application/octet-stream", JSON.stringify(payload)),
      message("InvokeComplete", "application/json", JSON.stringify(complete)),
    ]),
  };
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

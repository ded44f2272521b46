import { expect, test } from "vitest";
import { streamRun } from "../../../lib/handler/stream-run.ts";
import type { ResponseStream, StreamingRuntime } from "../../../lib/handler/streaming-runtime.ts";
import { silentLog } from "../../../lib/log.ts";

const CONTEXT = {
  awsRequestId: "request",
  invokedFunctionArn: "arn",
  getRemainingTimeInMillis: () => 900_000,
};

/** A stream with what was written to it, and the status that it began with. */
function makeStream() {
  const written: unknown[] = [];
  const stream: ResponseStream = {
    setContentType: () => undefined,
    write: (text) => written.push(text) > 0,
    end: () => void written.push("end"),
    on: () => undefined,
  };
  const runtime: StreamingRuntime = {
    streamifyResponse: (handler) => handler,
    HttpResponseStream: {
      from: (given, { statusCode }) => {
        written.push(statusCode);
        return given;
      },
    },
  };
  return { stream, runtime, written };
}

test("a call that runs nothing is answered with its own status, whatever its log says before", async () => {
  const { stream, runtime, written } = makeStream();
  const answer = { statusCode: 202, headers: {}, body: '{"state":"queued"}' };

  await streamRun({
    ...{ runtime, stream, context: CONTEXT, log: silentLog, event: { requestContext: {} } },
    handlerWith:
      ({ logFor }) =>
      () => {
        logFor?.("request")("connect.retry");
        return Promise.resolve(answer);
      },
  });

  expect(written).toEqual([202, answer.body, "end"]);
});

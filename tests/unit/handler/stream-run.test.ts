import { expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { streamRun } from "../../../lib/handler/stream-run.ts";
import type { ResponseStream, StreamingRuntime } from "../../../lib/handler/streaming-runtime.ts";
import { silentLog } from "../../../lib/log.ts";
import { failedReport } from "../../../lib/report/report.ts";

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
    ...{ runtime, stream, log: silentLog, event: { requestContext: {} } },
    answer: ({ logFor }) => {
      logFor?.("request")("connect.retry");
      return Promise.resolve({ report: null, answer: { status: "fulfilled", value: answer } });
    },
  });

  expect(written).toEqual([202, answer.body, "end"]);
});

test("the last line holds the report of a call that throws, and the runtime gets the error", async () => {
  const { stream, runtime, written } = makeStream();
  const report = failedReport("request", new MigratorError("LOCKED", "Another run is under way."));
  const reason = new Error("It failed.");

  const streaming = streamRun({
    ...{ runtime, stream, log: silentLog, event: {} },
    answer: () => Promise.resolve({ report, answer: { status: "rejected", reason } }),
  });

  await expect(streaming).rejects.toBe(reason);
  expect(written).toEqual([`${JSON.stringify({ type: "report", report })}\n`]);
});

import { isHttpEvent, wantsPage } from "../events/http/event.ts";
import type { Log } from "../log.ts";
import { printableJson } from "../text.ts";
import type { Answered, CallOptions } from "./handler.ts";
import { type Lines, startLines } from "./lines.ts";
import type { Prelude, ResponseStream, StreamingRuntime } from "./streaming-runtime.ts";

/** One call whose answer is streamed. */
export interface StreamedCall {
  readonly runtime: StreamingRuntime;
  readonly event: unknown;
  readonly stream: ResponseStream;
  readonly log: Log;
  /** Does the work. It is handed in, so that this file, which few calls load, shares nothing with it. */
  answer(options: Pick<CallOptions, "logFor" | "onProgress" | "isStray">): Promise<Answered>;
}

/** The events of the log that a caller hears. */
const TOLD = [
  "rights.denied",
  "connect.retry",
  "lock.waiting",
  "waiting",
  "lock.abandoned-session-ended",
  "transaction.retry",
  "executor.fallback",
  "run.again",
  "migration.applied",
];

/** Each line is a JSON value (https://github.com/ndjson/ndjson-spec). */
const NDJSON = "application/x-ndjson";

/** The beginning of the answer to an HTTP call that hears how far its run is. */
const GOING_ON: Prelude = {
  statusCode: 200,
  headers: { "content-type": NDJSON, "cache-control": "no-store" },
};

/**
 * Answers a call by lines: they say how far the run is while it goes on, and the last one holds the report. The status
 * is the report's where no line was written before. A run goes on when nobody listens any more: half-way is no
 * place to stop.
 * @throws the error that the caller gets, behind the last line: the runtime marks the stream as failed
 */
export async function streamRun(call: StreamedCall): Promise<void> {
  const open = opener(call);
  if (isHttpEvent(call.event) && wantsPage(call.event)) return await sendPage(call, open);
  const lines = startLines(call.stream, () => open(GOING_ON));
  const log = tellingLog(call.log, lines);
  const { report, answer } = await call.answer({
    logFor: () => log,
    onProgress: lines.progress,
    isStray: lines.isBroken,
  });
  const http = answer.status === "fulfilled" ? httpAnswerIn(answer.value) : null;
  if (report === null && http !== null) lines.finish(http.body, () => open(http));
  else {
    const lastLine = `${printableJson({ type: "report", report })}\n`;
    lines.finish(lastLine, () => open(http === null ? GOING_ON : inLines(http)));
  }
  if (answer.status === "rejected") throw answer.reason;
  lines.end();
}

/** Answers a browser, which gets a page and no lines. */
async function sendPage(
  { log, answer: answerCall }: StreamedCall,
  open: ReturnType<typeof opener>,
): Promise<void> {
  const { answer } = await answerCall({ logFor: () => log });
  if (answer.status === "rejected") throw answer.reason;
  const http = httpAnswerIn(answer.value);
  const sink = open(http ?? GOING_ON);
  sink.write(http?.body ?? "");
  sink.end();
}

/** Makes a log that also tells lines. A call that runs nothing has its own status, which a line before would take away. */
function tellingLog(log: Log, lines: Lines): Log {
  let running = false;
  return (event, fields = {}) => {
    log(event, fields);
    running ||= event === "run.started";
    if (running && TOLD.includes(event)) lines.tell({ event, ...fields });
    // A run that fails at once keeps its own status.
    if (running && event === "planned") lines.tellWithNext({ event, ...fields });
  };
}

/** Opens the answer. Status and headers go before an HTTP answer only: elsewhere they would be read as a part of it. */
function opener({ runtime, event, stream }: StreamedCall): (prelude: Prelude) => ResponseStream {
  const isHttp = typeof event === "object" && event !== null && "requestContext" in event;
  return (prelude) => {
    if (isHttp) return runtime.HttpResponseStream.from(stream, prelude);
    stream.setContentType(NDJSON);
    return stream;
  };
}

function inLines({ statusCode, headers }: Prelude): Prelude {
  return { statusCode, headers: { ...headers, "content-type": NDJSON } };
}

/** The answer to an HTTP call; null for any other. */
function httpAnswerIn(answer: unknown): (Prelude & { readonly body: string }) | null {
  const isHttp = typeof answer === "object" && answer !== null && "statusCode" in answer;
  // Our own `httpAnswer` made it; its shape is ours.
  return isHttp ? (answer as Prelude & { readonly body: string }) : null;
}

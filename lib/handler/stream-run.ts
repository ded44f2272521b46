import type { InvocationContext } from "../events/caller.ts";
import { type Log, RUN_ENDS } from "../log.ts";
import type { HandlerOptions } from "./handler.ts";
import { startLines } from "./lines.ts";
import type { Prelude, ResponseStream, StreamingRuntime } from "./streaming-runtime.ts";

/** One call whose answer is streamed. */
export interface StreamedCall {
  readonly runtime: StreamingRuntime;
  readonly event: unknown;
  readonly stream: ResponseStream;
  readonly context: InvocationContext;
  readonly log: Log;
  /** Makes what does the work: handed in, so that this file, which loads for few, shares nothing with it. */
  handlerWith(
    options: Pick<HandlerOptions, "logFor" | "onProgress" | "isStray">,
  ): (event: unknown, context: InvocationContext) => Promise<unknown>;
}

/** What of the log a caller hears. */
const TOLD = [
  "connect.retry",
  "lock.waiting",
  "lock.abandoned-session-ended",
  "transaction.retry",
  "executor.fallback",
  "run.again",
  "migration.applied",
];

/** Each line is a JSON value (https://github.com/ndjson/ndjson-spec). */
const NDJSON = "application/x-ndjson";

/** What an HTTP call is answered that has begun to be told how far it is. */
const GOING_ON: Prelude = {
  statusCode: 200,
  headers: { "content-type": NDJSON, "cache-control": "no-store" },
};

/**
 * Has a call answered by lines: how far the run is while it goes on, and in the last one the report. The status
 * is the report's where no line was written before. A run goes on when nobody listens any more: half-way is no
 * place to stop.
 * @throws what the handler throws, behind the last line: the runtime marks the stream as failed
 */
export async function streamRun(call: StreamedCall): Promise<void> {
  const { event, stream, context, log, handlerWith } = call;
  const open = opener(call);
  const lines = startLines(stream, () => open(GOING_ON));
  // The handler logs its report before it answers; null where nothing was to be run.
  let report: unknown = null;
  let running = false;
  const tellingLog: Log = (name, fields = {}) => {
    log(name, fields);
    // A call that runs nothing has its own status: a line before its answer would take that away.
    running ||= name === "run.started";
    if (running && TOLD.includes(name)) lines.tell({ event: name, ...fields });
    if (RUN_ENDS.some((end) => end === name)) report = fields.report ?? null;
  };
  const handler = handlerWith({
    logFor: () => tellingLog,
    onProgress: lines.progress,
    isStray: lines.isBroken,
  });
  const lastLine = () => `${JSON.stringify({ type: "report", report })}\n`;
  try {
    const answer = preludeIn(await handler(event, context));
    if (report === null && answer !== null) lines.finish(answer.body, () => open(answer));
    else lines.finish(lastLine(), () => open(inLines(answer ?? GOING_ON)));
  } catch (thrown) {
    lines.finish(lastLine(), () => open(GOING_ON));
    throw thrown;
  }
  lines.end();
}

/** A status and headers go before an HTTP answer only: elsewhere they would be read as a part of it. */
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

/** What the handler answers to an HTTP call; null to any other. */
function preludeIn(answer: unknown): (Prelude & { readonly body: string }) | null {
  const isHttp = typeof answer === "object" && answer !== null && "statusCode" in answer;
  // Our own `httpAnswer` made it; its shape is ours.
  return isHttp ? (answer as Prelude & { readonly body: string }) : null;
}

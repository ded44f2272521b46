import { MigratorError } from "../errors.ts";
import type { InvocationContext } from "../events/caller.ts";
import { createLog } from "../log.ts";
import { createHandler, type HandlerOptions } from "./handler.ts";

/** The answer of a function that streams it, as its runtime hands it over (aws-lambda-ric, `ResponseStream`). */
export interface ResponseStream {
  setContentType(type: string): void;
  write(text: string): boolean;
  end(): void;
  on(event: "error", listener: (error: unknown) => void): void;
}

/** What an HTTP answer begins with. */
export interface Prelude {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What Lambda's runtime for Node offers under the global name `awslambda`. */
export interface StreamingRuntime {
  streamifyResponse(handler: StreamingHandler): StreamingHandler;
  readonly HttpResponseStream: { from(stream: ResponseStream, prelude: Prelude): ResponseStream };
}

/** A handler that writes its answer while it works. */
export type StreamingHandler = (
  event: unknown,
  stream: ResponseStream,
  context: InvocationContext,
) => Promise<void>;

/**
 * Makes the function that Lambda calls where answers are streamed: lines that say how far the run is, and in the
 * last one the report. Beside `createHandler`, for a function of its own.
 */
export function createStreamingHandler(options: HandlerOptions): ReturnType<typeof streamify> {
  return streamify(async (runtime, event, stream, context) => {
    const { streamRun } = await import("../queued-runs/queued-runs.ts");
    const log = (options.logFor ?? createLog)(context.awsRequestId);
    await streamRun({
      ...{ runtime, event, stream, context, log },
      handlerWith: (more) => createHandler({ ...options, ...more }),
    });
  });
}

/**
 * Makes what Lambda calls of a handler that streams. Where the runtime offers no streaming, importing the file
 * does not fail, since other handlers may be in it; being called does.
 * @param handle is given the runtime besides what the handler is given
 */
export function streamify(
  handle: (runtime: StreamingRuntime, ...call: Parameters<StreamingHandler>) => Promise<void>,
): StreamingHandler | (() => Promise<never>) {
  const runtime = streamingRuntime();
  if (runtime !== null) return runtime.streamifyResponse((...call) => handle(runtime, ...call));
  return () =>
    Promise.reject(
      new MigratorError(
        "CONFIG_INVALID",
        "The handler index.stream needs a runtime that streams responses: Lambda's own for Node, without AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA. Nothing was run.",
      ),
    );
}

function streamingRuntime(): StreamingRuntime | null {
  const found: unknown = Reflect.get(globalThis, "awslambda");
  const offers = typeof found === "object" && found !== null && "streamifyResponse" in found;
  // Lambda's runtime made this value; its shape is that of aws-lambda-ric.
  return offers ? (found as StreamingRuntime) : null;
}

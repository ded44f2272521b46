import { MigratorError } from "../errors.ts";
import { createLog } from "../log.ts";
import { createHandler, type HandlerOptions } from "./handler.ts";
import {
  type StreamingHandler,
  type StreamingRuntime,
  streamingRuntime,
} from "./streaming-runtime.ts";

/**
 * Makes the function that Lambda calls where answers are streamed: lines that say how far the run is, and in the
 * last one the report. Beside `createHandler`, for a function of its own.
 */
export function createStreamingHandler(options: HandlerOptions): ReturnType<typeof streamify> {
  return streamify(async (runtime, event, stream, context) => {
    const { streamRun } = await import("./stream-run.ts");
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

import { MigratorError } from "../errors.ts";
import { createLog } from "../log.ts";
import { answerCall, type HandlerOptions } from "./handler.ts";
import {
  type StreamingHandler,
  type StreamingRuntime,
  streamingRuntime,
} from "./streaming-runtime.ts";

/**
 * Makes the function that Lambda calls where answers are streamed: lines that say how far the run is, and in the
 * last one the report. It is for a function of its own, beside that of `createHandler`.
 */
export function createStreamingHandler(options: HandlerOptions): ReturnType<typeof streamify> {
  return streamify(async (runtime, event, stream, context) => {
    const { streamRun } = await import("./stream-run.ts");
    const log = (options.logFor ?? createLog)(context.awsRequestId);
    await streamRun({
      ...{ runtime, event, stream, log },
      answer: (more) => answerCall(event, context, { ...options, ...more }),
    });
  });
}

/**
 * Makes the function that Lambda calls of a handler that streams. Where the runtime offers no streaming, importing the
 * file does not fail, since other handlers may be in it; a call of the function does.
 * @param handle gets the runtime besides the arguments of the handler
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

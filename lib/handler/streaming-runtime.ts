import type { InvocationContext } from "../events/caller.ts";

/** The answer of a function that streams it, as its runtime hands it over (aws-lambda-ric, `ResponseStream`). */
export interface ResponseStream {
  setContentType(type: string): void;
  write(text: string): boolean;
  end(): void;
  on(event: "error", listener: (error: unknown) => void): void;
}

/** The beginning of an HTTP answer. */
export interface Prelude {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The streaming that Lambda's runtime for Node offers under the global name `awslambda`. */
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

/** Returns the streaming of this runtime; null where it offers none. */
export function streamingRuntime(): StreamingRuntime | null {
  const found: unknown = Reflect.get(globalThis, "awslambda");
  const offers = typeof found === "object" && found !== null && "streamifyResponse" in found;
  // Lambda's runtime made this value; its shape is that of aws-lambda-ric.
  return offers ? (found as StreamingRuntime) : null;
}

import type { ServerResponse } from "node:http";
import type { LocalLambda } from "../lambda/lambda.ts";

/** The bytes between the beginning of an HTTP answer and its body (Lambda developer guide, "Response streaming"). */
const DELIMITER = "\0".repeat(8);

/**
 * Calls a function and hands its streamed answer on as it comes: status and headers as JSON, the delimiter, the body.
 * When the caller has gone, the function's stream is cut off, and the function runs on.
 */
export async function streamAnswer(
  lambda: LocalLambda,
  event: unknown,
  { requestId, response }: { readonly requestId: string; readonly response: ServerResponse },
): Promise<void> {
  let untold = "";
  let gone = false;
  response.on("close", () => {
    gone = !response.writableEnded;
  });
  const onPart = (part: string): boolean => {
    untold += part;
    if (!response.headersSent) begin();
    if (response.headersSent) {
      response.write(untold);
      untold = "";
    }
    return !gone;
  };
  const begin = (): void => {
    const [prelude = "", ...rest] = untold.split(DELIMITER);
    if (rest.length === 0) return;
    const { statusCode, headers } = JSON.parse(prelude);
    response.writeHead(Number(statusCode), { ...headers, "x-amzn-requestid": requestId });
    untold = rest.join(DELIMITER);
  };
  const { functionError } = await lambda.invoke(event, { requestId, onPart });
  if (response.headersSent) {
    // A caller sees a failure half-way by an answer without an end.
    if (functionError === null) response.end();
    else response.destroy();
    return;
  }
  response.writeHead(502, { "content-type": "text/plain" }).end("Internal Server Error");
}

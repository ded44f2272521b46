/*
 * A stand-in for a Function URL. HTTP requests come in, events of payload format 2.0 go to the function, and its answer
 * goes back over HTTP, at once or as a stream. Nothing here knows the function.
 */

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type LoopbackServer, startLoopback } from "../aws/loopback.ts";
import { signatureProblem } from "../aws/signature.ts";
import type { Invocation, LocalLambda } from "../lambda/lambda.ts";
import { httpEvent } from "./event.ts";
import { streamAnswer } from "./stream.ts";

/** The settings of a Function URL. */
export interface FunctionUrlOptions {
  /** The authentication. Default: `AWS_IAM`, a signature with the stand-ins' credentials for `lambda`. */
  readonly authType?: "AWS_IAM" | "NONE";
  /** `RESPONSE_STREAM` hands a streamed answer on as it comes. Default: `BUFFERED`. */
  readonly invokeMode?: "BUFFERED" | "RESPONSE_STREAM";
  /** A fixed port. Default: a free one. */
  readonly port?: number;
}

/** The limit of an event, and so of the body, as for a direct invocation. */
const MAX_BYTES = 6_291_456;

/** What Lambda says to a caller without rights. */
const FORBIDDEN =
  "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

/** Starts a stand-in for the Function URL of a function, with payload format 2.0. Its root is the whole URL. */
export function startFunctionUrl(
  lambda: LocalLambda,
  { authType = "AWS_IAM", invokeMode = "BUFFERED", port }: FunctionUrlOptions = {},
): Promise<LoopbackServer> {
  return startLoopback(async (request, response) => {
    const { method = "", url: target = "/", headers } = request;
    const body = await buffer(request);
    const signed = { method, target, headers, body };
    const problem =
      authType === "NONE"
        ? null
        : await signatureProblem(signed, { ...LOCAL_ACCOUNT, service: "lambda" });
    if (problem !== null) {
      // A caller that did not sign at all learns no more than that.
      const unsigned = problem.type.startsWith("MissingAuthentication");
      refuse(response, 403, unsigned ? "AccessDeniedException" : problem.type, {
        Message: unsigned ? FORBIDDEN : problem.message,
      });
      return;
    }
    await answer(lambda, { request, response, body, authType, invokeMode });
  }, port);
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly authType: "AWS_IAM" | "NONE";
  readonly invokeMode: "BUFFERED" | "RESPONSE_STREAM";
}

async function answer(lambda: LocalLambda, exchange: Exchange): Promise<void> {
  const { request, response, body, authType, invokeMode } = exchange;
  const requestId = randomUUID();
  const event = httpEvent(request, body, { requestId, signed: authType === "AWS_IAM" });
  if (Buffer.byteLength(JSON.stringify(event)) > MAX_BYTES) {
    refuse(response, 413, "RequestEntityTooLargeException", {
      Message: `Request must be smaller than ${MAX_BYTES} bytes for the InvokeFunction operation`,
    });
    return;
  }
  if (invokeMode === "BUFFERED") respond(response, await lambda.invoke(event, { requestId }));
  else await streamAnswer(lambda, event, { requestId, response });
}

function refuse(response: ServerResponse, status: number, type: string, body: object): void {
  const headers = { "content-type": "application/json", "x-amzn-errortype": type };
  response.writeHead(status, headers).end(JSON.stringify(body));
}

/** Sends the answer. A value without a status code goes out as JSON with status 200; a failure says nothing. */
function respond(
  response: ServerResponse,
  { payload, functionError, requestId }: Invocation,
): void {
  response.setHeader("x-amzn-requestid", requestId);
  if (functionError !== null) {
    response.writeHead(502, { "content-type": "text/plain" }).end("Internal Server Error");
    return;
  }
  const shaped: Shaped = isShaped(payload)
    ? payload
    : { statusCode: 200, body: JSON.stringify(payload) };
  const { statusCode, headers = {}, body = "", isBase64Encoded = false, cookies = [] } = shaped;
  response.setHeader("content-type", "application/json");
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  response
    .writeHead(Number(statusCode), headers)
    .end(Buffer.from(body, isBase64Encoded ? "base64" : "utf8"));
}

interface Shaped {
  readonly statusCode: number | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
  readonly cookies?: readonly string[];
}

function isShaped(payload: unknown): payload is Shaped {
  return typeof payload === "object" && payload !== null && "statusCode" in payload;
}

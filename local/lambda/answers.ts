import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** The answer to a call of Lambda's API. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and streams go as they are, anything else as JSON. */
  readonly body?: unknown;
}

/** Makes an error of Lambda's REST-JSON protocol. */
export function refusal(status: number, type: string, message: string): Answer {
  return {
    status,
    headers: { "x-amzn-errortype": type },
    body: { Type: status < 500 ? "User" : "Service", message },
  };
}

/** Sends an answer. */
export async function send(
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  if (body instanceof Readable) await pipeline(body, response);
  else response.end(typeof body === "string" || body === undefined ? body : JSON.stringify(body));
}

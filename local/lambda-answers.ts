import type { ServerResponse } from "node:http";

/** What a call of Lambda's API is answered with. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and bytes go as they are, anything else as JSON. */
  readonly body?: unknown;
}

/** An error as Lambda's REST-JSON protocol says it. */
export function refusal(status: number, type: string, message: string): Answer {
  return {
    status,
    headers: { "x-amzn-errortype": type },
    body: { Type: status < 500 ? "User" : "Service", message },
  };
}

/** Sends an answer. */
export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const raw = typeof body === "string" || body === undefined || Buffer.isBuffer(body);
  const text = raw ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
}

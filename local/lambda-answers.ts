import type { ServerResponse } from "node:http";

/** What a call of Lambda's API is answered with. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes as it is, anything else as JSON. */
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
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
}

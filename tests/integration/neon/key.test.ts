import { createServer, type RequestListener } from "node:http";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { createNeonApi } from "../../../lib/neon/neon-api.ts";

const KEY = "napi_mArKer0123456789abcdef";

/** Starts a server that answers as a test needs it. @returns its URL */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  const bound = server.address();
  return `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

const connect = (url: string) =>
  createNeonApi({
    ...{ key: KEY, projectId: "a-project", url, code: "REHEARSAL_UNAVAILABLE" as const },
    deadline: Date.now() + 600_000,
    clock: { now: Date.now, pause: async () => undefined },
  });

/** Everything that anybody could print of what was thrown. */
async function shown(call: Promise<unknown>): Promise<string> {
  const thrown = await call.then(
    () => expect.fail("It was to throw."),
    (error: unknown) => error,
  );
  const all = { depth: Number.POSITIVE_INFINITY, showHidden: true };
  return `${inspect(thrown, all)} ${JSON.stringify(thrown)}`;
}

describe("the API key", () => {
  const answers: readonly (readonly [string, RequestListener])[] = [
    [
      "an error that quotes it",
      (request, response) => {
        const message = `who is ${request.headers.authorization}?`;
        response.writeHead(400, { "content-type": "application/json" });
        response.end(JSON.stringify({ code: KEY, message, request_id: KEY }));
      },
    ],
    ["an error that is no JSON", (_, response) => response.writeHead(400).end(`no ${KEY}`)],
    ["an answer that is no JSON", (_, response) => response.writeHead(200).end(`<p>${KEY}`)],
    ["an answer that lacks everything", (_, response) => response.writeHead(200).end("{}")],
    ["a connection that breaks", (request) => request.socket.destroy()],
    [
      "an answer that breaks off",
      (_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "99" });
        response.write(`{"endpoints":[{"id":"${KEY}`);
        response.socket?.end();
      },
    ],
  ];

  test.each(answers)("is in nothing that is thrown: %s", async (_what, answer) => {
    const api = connect(await serve(answer));

    const text = await shown(api.findProduction("ep-x"));

    expect(text).toContain("REHEARSAL_UNAVAILABLE");
    expect(text).not.toMatch(/mArKer/);
  });

  test("goes to no other host", async () => {
    const seen: unknown[] = [];
    const elsewhere = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end("{}");
    });
    const url = await serve((_, response) =>
      response.writeHead(307, { location: elsewhere }).end(),
    );

    const text = await shown(connect(url).findProduction("ep-x"));

    expect(text).toContain("REHEARSAL_UNAVAILABLE");
    expect(seen).toEqual([]);
  });
});

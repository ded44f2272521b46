import { createServer, type RequestListener } from "node:http";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { createNeonApi } from "../../../lib/neon/neon-api.ts";
import { rehearse } from "../../../lib/rehearsal/rehearse.ts";
import { parseRequest } from "../../../lib/request.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { targetOf } from "../../setup/run.ts";

const KEY = "napi_mArKer0123456789abcdef";

const QUICK = { now: Date.now, pause: async () => undefined };

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
    clock: QUICK,
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

describe("the API key and the branch's password", () => {
  const PASSWORD = "pw_mArKer9876543210";
  const endpoint = (id: string, branch_id: string) => ({
    ...{ id, branch_id, host: `${id}.local.neon.build` },
    ...{ autoscaling_limit_min_cu: 1, autoscaling_limit_max_cu: 1 },
  });
  const branch = { id: "br-new-1", name: "new", parent_id: "br-main-1", created_at: "2026-01-01" };
  const operation = { id: "operation-1", branch_id: branch.id, created_at: "2026-01-01" };
  const made = endpoint("ep-new-1", branch.id);
  const uri = `postgresql://owner:${PASSWORD}@${made.host}/neondb`;
  /** The six calls of a rehearsal, and the answers of a Neon at which all goes well. */
  const CALLS: readonly (readonly [string, RegExp, object])[] = [
    ["endpoints", /^GET .*\/endpoints$/, { endpoints: [endpoint("ep-main-1", "br-main-1")] }],
    ["create", /^POST .*\/branches$/, { branch, endpoints: [made], operations: [operation] }],
    ["find by name", /^GET .*\/branches\?/, { branches: [] }],
    ["operations", /^GET .*\/operations\?/, { operations: [{ ...operation, status: "finished" }] }],
    ["connection_uri", /^GET .*\/connection_uri\?/, { uri }],
    ["delete", /^DELETE /, { branch, operations: [] }],
  ];

  /** Lets one call, or none, go wrong in such a way that the server tells all that it knows. */
  function telling(wrong: string): RequestListener {
    return (request, response) => {
      const line = `${request.method} ${request.url}`;
      const [name = "", , answer = {}] = CALLS.find(([, pattern]) => pattern.test(line)) ?? [];
      const message = `${request.headers.authorization} ${uri}`;
      const refused = { code: "", message, request_id: KEY };
      // With 500 it is not known whether the branch was made: so it is looked for.
      const wrongs: Readonly<Record<string, readonly [number, object]>> = {
        [wrong]: [400, refused],
        ...(wrong === "find by name" && { create: [500, refused] }),
        ...(wrong === "operations" && {
          operations: [200, { operations: [{ ...operation, status: "failed", error: message }] }],
        }),
      };
      const [status, body] = wrongs[name] ?? [200, answer];
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
  }

  test.each([...CALLS.map(([name]) => name), "none"])(
    "API key, password in errors, reports, logs of six calls are redacted: %s goes wrong",
    async (wrong) => {
      const url = await serve(telling(wrong));
      const lines: unknown[] = [];
      const bundle = makeBundle(makeMigration("0000_first", 1, "select 1"));

      const report = await rehearse(parseRequest({}), {
        ...{ bundle, requestId: "marked", deadline: null },
        log: (event, fields) => lines.push(event, fields),
        // Nobody listens at port 1: the branch cannot be reached.
        target: () =>
          targetOf(
            "postgresql://owner:pw_mArKer0@ep-main-1.local.neon.build/neondb",
            "127.0.0.1:1",
          ),
        access: () => Promise.resolve({ key: KEY, projectId: "a-project", url, clock: QUICK }),
      });

      expect(report.error?.code).toMatch(/^(REHEARSAL_UNAVAILABLE|UNREACHABLE|CONNECT_TIMEOUT)$/);
      expect(report.warnings.map(({ code }) => code)).toEqual(
        wrong === "delete" ? ["REHEARSAL_BRANCH_LEFT"] : [],
      );
      const all = { depth: Number.POSITIVE_INFINITY, showHidden: true };
      expect(`${inspect(report, all)} ${inspect(lines, all)}`).not.toMatch(/mArKer/);
    },
  );
});

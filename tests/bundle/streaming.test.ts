import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoopbackServer } from "../../local/aws/loopback.ts";
import { startFunctionUrl } from "../../local/function-url/function-url.ts";
import { accounts, booking, broken, closeGate, slow, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { expectReport } from "../setup/report-schema.ts";
import { runtimes } from "../setup/runtimes.ts";
import { waitFor } from "../setup/wait-for.ts";

/** One line of an answer. */
interface Line {
  readonly type: "progress" | "report";
  readonly event?: string;
  readonly report?: unknown;
}

let database: TestDatabase;
let deployment: Deployment;
let url: LoopbackServer;

describe.each(runtimes())("a streamed answer in $name", (runtime) => {
  beforeEach(async () => {
    database = await createTestDatabase();
    deployment = prepareDeployment(
      { ...(await database.functionEnvironment()), _HANDLER: "index.stream" },
      { runtime },
    );
    url = await startFunctionUrl(
      {
        ...deployment,
        invoke: async (event, { requestId = "call", onPart = () => true } = {}) => ({
          ...(await deployment.deliver({ requestId, event, onPart })),
          ...{ requestId, coldStart: false },
        }),
        invokeAsync: () => Promise.resolve([]),
        stop: () => deployment.remove(),
      },
      { authType: "NONE", invokeMode: "RESPONSE_STREAM" },
    );
  });

  afterEach(async () => {
    await url.stop();
    await deployment.remove();
    await database.close();
  });

  test("says how far the run is before it is over, and how it ended in the last line", async () => {
    const gate = await closeGate(database);
    await deployment.deploy(accounts, booking, slow);

    const response = await fetch(`${url.url}/migrations`, { method: "POST" });
    const lines = linesOf(response);
    const first = await lines.next();
    const second = await lines.next();
    // It is not over before the gate is open.
    await gate.reached();
    await gate.open();
    const others = await rest(lines);

    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      "application/x-ndjson",
    ]);
    expect(first.value).toMatchObject({ type: "progress", event: "planned", atomic: true });
    expect(second.value).toMatchObject({ type: "progress", event: "statement", total: 6 });
    expect(others.slice(0, -1).map(({ type }) => type)).not.toContain("report");
    expect(expectReport(others.at(-1)?.report)).toMatchObject({ status: "applied" });
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("has the status of the report where nothing was to be told before it", async () => {
    await deployment.deploy(accounts, booking);

    const unknown = await fetch(`${url.url}/elsewhere`);
    const plan = await fetch(`${url.url}/migrations/plan`);
    const run = await fetch(`${url.url}/migrations/runs/none`);
    const wrong = await fetch(`${url.url}/migrations`, { method: "POST", body: "[]" });

    expect([unknown, plan, run, wrong].map(({ status }) => status)).toEqual([404, 200, 404, 400]);
    expect(await rest(linesOf(plan))).toEqual([
      { type: "report", report: expect.objectContaining({ status: "planned" }) },
    ]);
    expect(await rest(linesOf(wrong))).toMatchObject([
      { type: "report", report: { error: { code: "REQUEST_INVALID" } } },
    ]);
  });

  test("behind a REST API begins with status, headers and eight zero bytes", async () => {
    await deployment.deploy(accounts, booking);
    const answers: string[] = [];
    for (const name of ["post", "get-plan-behind-base-path"]) {
      const event = JSON.parse(
        readFileSync(`tests/fixtures/events/http/rest-api-${name}.json`, "utf8"),
      );
      let told = "";
      const onPart = (part: string) => {
        told += part;
        return true;
      };
      await deployment.deliver({ requestId: name, event: event.event ?? event, onPart });
      answers.push(told);
    }

    for (const answer of answers) {
      // What API Gateway reads before the body: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
      const [prelude = "", body = "", ...others] = answer.split("\0".repeat(8));
      const { statusCode, headers, ...unknown } = JSON.parse(prelude);
      expect([statusCode, headers["content-type"], unknown, others]).toEqual([
        200,
        "application/x-ndjson",
        {},
        [],
      ]);
      const lines = body.trimEnd().split("\n");
      expect(expectReport(JSON.parse(lines.at(-1) ?? "").report)).toMatchObject({
        status: expect.stringMatching(/^(?:applied|up-to-date|planned)$/),
      });
    }
  });

  test("does not stop the run when nobody listens any more", async () => {
    const gate = await closeGate(database);
    await deployment.deploy(accounts, booking, slow);
    let parts = 0;

    const ending = deployment.deliver({
      ...{ requestId: "unheard", event: {} },
      onPart: () => {
        parts += 1;
        return false;
      },
    });
    await waitFor(() => parts > 0);
    await gate.reached();
    await gate.open();
    const { logs } = await ending;

    // AWS' client writes the time and the request id before each line.
    const last = logs.findLast((line) => line.includes('"event":"run.'))?.replace(/^[^{]*/, "");
    expect(parts).toBe(1);
    expect(JSON.parse(last ?? "{}")).toMatchObject({ report: { status: "applied" } });
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("of a plain invocation has no status before it, and fails behind its last line", async () => {
    await deployment.deploy(accounts, broken);

    let told = "";
    const { functionError, payload } = await deployment.deliver({
      ...{ requestId: "direct", event: {} },
      onPart: (part) => {
        told += part;
        return true;
      },
    });

    const lines = told.trimEnd().split("\n");
    expect(functionError).toBe("Unhandled");
    expect(payload).toMatchObject({ errorType: "MIGRATION_FAILED" });
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      ...{ type: "report", report: { status: "failed", error: { code: "MIGRATION_FAILED" } } },
    });
  });
});

async function rest(lines: AsyncGenerator<Line, void>): Promise<readonly Line[]> {
  const all: Line[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

async function* linesOf(response: Response): AsyncGenerator<Line, void> {
  let begun = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = `${begun}${part}`.split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
  expect(begun).toBe("");
}

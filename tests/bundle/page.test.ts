import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LoopbackServer } from "../../local/aws/loopback.ts";
import { startFunctionUrl } from "../../local/function-url/function-url.ts";
import { accounts } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";

const BROWSER = {
  accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
};

let database: TestDatabase;
let deployment: Deployment;
let url: LoopbackServer;

/** Starts a function with an address of its own. */
async function start(handler: string, changes: Readonly<Record<string, string>> = {}) {
  const environment = { ...(await database.functionEnvironment()), _HANDLER: handler, ...changes };
  deployment = prepareDeployment(environment);
  const streams = handler === "index.stream";
  url = await startFunctionUrl(
    {
      ...deployment,
      invoke: async (event, { requestId = "call", onPart = () => true } = {}) => ({
        ...(await deployment.deliver({ requestId, event, ...(streams ? { onPart } : {}) })),
        ...{ requestId, coldStart: false },
      }),
      invokeAsync: () => Promise.resolve([]),
      stop: () => deployment.remove(),
    },
    { authType: "NONE", invokeMode: streams ? "RESPONSE_STREAM" : "BUFFERED" },
  );
  await deployment.deploy(accounts);
}

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await url.stop();
  await deployment.remove();
  await database.close();
});

describe.each(["index.handler", "index.stream"])("the function %s at its address", (handler) => {
  test("shows a browser the status of the database as a page", async () => {
    await start(handler);

    const response = await fetch(url.url, { headers: BROWSER });
    const page = await response.text();

    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      "text/html; charset=utf-8",
    ]);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("1 migration pending.");
    expect(page).toContain(accounts.tag);
    expect(page).toContain("create table accounts");
  });

  test("leaves the database alone where anything is taken, as by a health check", async () => {
    await start(handler, { NEON_WS_PROXY: "127.0.0.1:1" });

    const check = await fetch(url.url);
    const page = await fetch(url.url, { headers: BROWSER });

    expect(check.status).toBe(404);
    expect(await check.text()).toContain('"code":"NOT_FOUND"');
    // The same question by a browser reaches for the database.
    expect(page.status).toBe(503);
    expect(await page.text()).toContain("UNREACHABLE");
  });
});

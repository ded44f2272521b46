import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../../lib/errors.ts";
import { recognise } from "../../../../lib/events/recognise.ts";
import { contentSecurityPolicy } from "../../../../lib/page/document.ts";
import { failedReport, type Report } from "../../../../lib/report/report.ts";
import { makeCall, requestOf, respondTo } from "../../../setup/call.ts";
import { bundleFor, driftedStatus, HOSTILE } from "../../../setup/html-pages.ts";
import { lambdaContext } from "../../../setup/lambda-context.ts";
import { recordedEvent } from "../../../setup/recorded-events.ts";

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

interface Changes {
  readonly path?: string;
  readonly method?: string;
  readonly accept?: string;
}

/** A call by a Function URL. */
function callOf({ path = "/", method = "GET", accept = BROWSER }: Changes = {}) {
  const event = Object(recordedEvent("http/function-url-get-plan"));
  const context = { ...event.requestContext, http: { ...event.requestContext.http, method, path } };
  const headers = { ...event.headers, accept };
  return { ...event, rawPath: path, rawQueryString: "", headers, requestContext: context };
}

/** The same question by a load balancer that hands on every value of a header. */
function balanced() {
  const event = Object(recordedEvent("http/load-balancer-multi-value-get"));
  return { ...event, multiValueHeaders: { ...event.multiValueHeaders, accept: [BROWSER] } };
}

/** The answer to a call. Without a report it is that of a call that was refused. */
async function answerTo(event: unknown, report?: Report) {
  const call = {
    ...makeCall(lambdaContext()),
    bundle: () => Promise.resolve(bundleFor(driftedStatus())),
  };
  const refused = async () => {
    await recognise(event).request(call);
    return null;
  };
  const told = report ?? (await refused().catch((thrown) => failedReport("call", thrown)));
  return Object(await respondTo(event, told, call));
}

describe("the root of the address", () => {
  test("asks for the status where its caller prefers a page", async () => {
    expect(await requestOf(callOf(), lambdaContext())).toMatchObject({ action: "status" });
  });

  test.each(["*/*", "application/json", ""])(
    "asks for nothing where it takes %j",
    async (accept) => {
      const answer = await answerTo(callOf({ accept }));

      expect(answer.statusCode).toBe(404);
      expect(answer.headers).toEqual({
        ...{ "content-type": "application/json", "cache-control": "no-store", vary: "accept" },
      });
      expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "NOT_FOUND" } });
    },
  );

  test.each([
    ["/", "$default", "status"],
    ["", "$default", "status"],
    ["/prod/", "prod", "status"],
    ["/prod", "prod", "status"],
    ["/prod", "other", null],
    ["/favicon.ico", "$default", null],
  ])("of path %j in stage %j means %j", async (path, stage, action) => {
    const event = callOf({ path });
    const staged = { ...event, requestContext: { ...event.requestContext, stage } };

    const asked = requestOf(staged, lambdaContext()).then(
      (request) => request?.action,
      () => null,
    );

    expect(await asked).toBe(action);
  });
});

describe("a page by HTTP", () => {
  test("is HTML that nothing may keep, frame or add to", async () => {
    const { statusCode, headers, body, isBase64Encoded } = await answerTo(
      callOf(),
      driftedStatus(),
    );

    expect([statusCode, isBase64Encoded]).toEqual([200, false]);
    expect(headers).toEqual({
      "cache-control": "no-store",
      "content-security-policy": `${contentSecurityPolicy()}; frame-ancestors 'none'`,
      "content-type": "text/html; charset=utf-8",
      "referrer-policy": "no-referrer",
      vary: "accept",
      "x-content-type-options": "nosniff",
    });
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(body).toMatch(/^<!doctype html>/);
    expect(body).toContain("A run is under way");
    expect(body).toContain("ADD COLUMN c0");
  });

  test.each(HOSTILE.map((text) => [text]))(
    "has no script of a database in it: %j",
    async (text) => {
      const { body } = await answerTo(callOf(), driftedStatus(text));

      expect(body).not.toMatch(/<script|<img/);
    },
  );

  test("is the answer of the other paths, too, and of a load balancer", async () => {
    for (const event of [
      callOf({ path: "/migrations" }),
      callOf({ path: "/migrations/plan" }),
      balanced(),
    ]) {
      const { headers, multiValueHeaders, body } = await answerTo(event, driftedStatus());

      const type = headers?.["content-type"] ?? multiValueHeaders["content-type"];
      expect([type].flat()).toEqual(["text/html; charset=utf-8"]);
      expect(body).toMatch(/^<!doctype html>/);
    }
  });

  test.each([
    [{ path: "/elsewhere" }, 404, /There is no such page\./],
    [{ path: "/migrations/plan", method: "HEAD" }, 405, /^$/],
    [{ method: "HEAD" }, 405, /^$/],
  ] as const)("says what is wrong with %j", async (changes, status, body) => {
    const answer = await answerTo(callOf(changes));

    expect(answer).toMatchObject({
      statusCode: status,
      headers: {
        "content-type": "text/html; charset=utf-8",
        ...(status === 405 ? { allow: "GET" } : {}),
      },
    });
    expect(answer.body).toMatch(body);
  });

  test("has the status and the headers of its report", async () => {
    const report = failedReport("call", new MigratorError("UNREACHABLE", "Nobody is there."));

    expect(await answerTo(callOf(), report)).toMatchObject({
      statusCode: 503,
      headers: { "content-type": "text/html; charset=utf-8", "retry-after": "5" },
      body: expect.stringContaining("Nobody is there."),
    });
  });

  test("is no answer to a POST", async () => {
    const event = callOf({ path: "/migrations", method: "POST" });

    const { headers, body } = await answerTo(event, driftedStatus());

    expect(headers["content-type"]).toBe("application/json");
    expect(JSON.parse(body)).toMatchObject({ status: "planned" });
  });
});

import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ErrorCode } from "../../../lib/errors.ts";
import { recognise } from "../../../lib/events/recognise.ts";
import type { Request } from "../../../lib/request.ts";
import { meantBy } from "../../../lib/unknown-fields.ts";
import { requestOf } from "../../setup/call.ts";
import {
  CLOUDFORMATION,
  DEPLOYMENTS,
  DIRECT,
  HTTP,
  MARKED,
  RESPONSE_URL,
  UNMARKED,
} from "../../setup/fuzz/events.ts";
import { hostileValue, mutants } from "../../setup/fuzz/mutations.ts";
import { outcomeOfAsync } from "../../setup/fuzz/outcome.ts";
import {
  expectedOfPerson,
  expectedRequest,
  isRecord,
  REQUEST,
} from "../../setup/fuzz/request-oracle.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { tries } from "../../setup/tries.ts";

const CONTEXT = lambdaContext();
const RESOURCE = { LogicalResourceId: "Run", ResponseURL: RESPONSE_URL };

const variants = (events: readonly unknown[], maxMutations?: number) =>
  fc.oneof(...events.map((event) => mutants(event, maxMutations)));

/** Which source an event was given to, and what it made of it. */
async function asked(event: unknown): Promise<{
  readonly source: string;
  readonly request: Request | null;
  readonly code: ErrorCode | undefined;
}> {
  const { value: request, error } = await outcomeOfAsync(() => requestOf(event, CONTEXT));
  return { source: recognise(event).source, request, code: error?.code };
}

beforeEach(() => {
  vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
  return () => void vi.unstubAllEnvs();
});

describe("a direct invocation in any variation", () => {
  test("makes the request that stands in it, or none", async () => {
    await fc.assert(
      fc.asyncProperty(variants([...DIRECT, REQUEST]), async (event) => {
        const { source, request, code } = await asked(event);

        if (source === "direct")
          expect(request).toEqual(isDestruction(event) ? null : expectedDirect(event));
        else expect(request).toBeNull();
        if (source === "unsupported") expect(code).toBe("UNSUPPORTED_EVENT");
      }),
      { numRuns: tries(150, 1_000) },
    );
  });

  test("never applies with an action that says something else, or with keys that all are unknown", async () => {
    const others = hostileValue.filter((value) => value !== "up" && (value ?? null) !== null);
    await fc.assert(
      fc.asyncProperty(variants(DIRECT), others, async (event, action) => {
        const changed = isRecord(event) ? { ...event, action } : { action };

        expect((await asked(changed)).request?.action ?? "none").not.toBe("up");
      }),
      { numRuns: tries(150, 1_000) },
    );
  });
});

describe("an HTTP call in any variation", () => {
  test("applies only for a POST to /migrations whose body and query say nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(variants(HTTP), async (event) => {
        const { source, request } = await asked(event);

        if (request?.action === "up" && source === "http") expect(postsUp(event)).toBe(true);
        if (source !== "http") expect(runsDirectly(event) || request === null).toBe(true);
      }),
      { numRuns: tries(150, 1_000) },
    );
  });

  test("reads a body as it reads a direct invocation", async () => {
    await fc.assert(
      fc.asyncProperty(
        mutants({ ...REQUEST, action: "up" }),
        fc.boolean(),
        async (value, isBase64Encoded) => {
          const text = jsonOf(value);
          const body = isBase64Encoded ? Buffer.from(text).toString("base64") : text;
          const event = { ...Object(HTTP[1]), body, isBase64Encoded };

          const { request } = await asked(event);

          expect(request).toEqual(text.trim() === "" ? expectedRequest({}) : expectedBody(text));
        },
      ),
      { numRuns: tries(150, 1_000) },
    );
  });
});

describe("a custom resource in any variation", () => {
  test("applies for Create and Update only, and with no other action", async () => {
    await fc.assert(
      fc.asyncProperty(variants(CLOUDFORMATION), async (event) => {
        const { source, request, code } = await asked(event);

        if (source !== "cloudformation") {
          expect(request === null || runsDirectly(event)).toBe(true);
          return;
        }
        if (code === "ANSWER_REFUSED") {
          expect(Object(event).ResponseURL).not.toBe(RESPONSE_URL);
          return;
        }
        const expected = propertiesOf(event);
        const allowed = isRecord(expected) && expected.action === "up";
        expect(expressed(request)).toEqual(allowed ? expressed(expected) : null);
      }),
      { numRuns: tries(150, 1_000) },
    );
  });

  test("asks for nothing on Delete, whatever else is in it", async () => {
    await fc.assert(
      fc.asyncProperty(variants(CLOUDFORMATION), async (event) => {
        const deletion = { ...Object(event), RequestType: "Delete", ...RESOURCE };

        expect(await asked(deletion)).toEqual({ source: "cloudformation", request: null });
      }),
      { numRuns: tries(150, 1_000) },
    );
  });
});

describe("an event of a deployment in any variation", () => {
  test("makes the request in the place where its service lets people write one, or none", async () => {
    await fc.assert(
      fc.asyncProperty(variants(DEPLOYMENTS), async (event) => {
        const { source, request } = await asked(event);

        if (source === "codepipeline")
          expect(withoutDurations(request)).toEqual(withoutDurations(parametersOf(event)));
        else if (source === "codedeploy") expect(request).toEqual(expect.objectContaining(NOTHING));
        else if (source === "ecs" && request !== null)
          expect(withoutDurations(request)).toEqual(withoutDurations(detailsOf(event)));
        else expect(request === null || runsDirectly(event)).toBe(true);
      }),
      { numRuns: tries(150, 1_000) },
    );
  });
});

describe("an event of another service", () => {
  const request = fc.constantFrom<object>({}, { action: "up" }, REQUEST, { tf: {} }, { now: 1 });

  test.each(MARKED)("is refused whatever else is in it: %j", async (event) => {
    await fc.assert(
      fc.asyncProperty(request, fc.dictionary(fc.string(), hostileValue), async (more, noise) => {
        expect(await asked({ ...noise, ...more, ...event })).toMatchObject({
          source: "unsupported",
          request: null,
          code: "UNSUPPORTED_EVENT",
        });
      }),
      { numRuns: tries(50, 200) },
    );
  });

  test.each(UNMARKED)("is refused as long as no request is in it: %j", async (event) => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), hostileValue), async (noise) => {
        expect(await asked({ ...noise, ...event })).toMatchObject({
          source: "unsupported",
          request: null,
        });
      }),
      { numRuns: tries(50, 200) },
    );
  });

  test("is no run in any variation, unless the variation itself is a request", async () => {
    await fc.assert(
      fc.asyncProperty(variants([...MARKED, ...UNMARKED]), async (event) => {
        const { source, request } = await asked(event);

        expect(
          request === null || (source === "direct" && runsDirectly(event)) || postsUp(event),
        ).toBe(true);
      }),
      { numRuns: tries(150, 1_000) },
    );
  });
});

/** A request but for the two fields that a custom resource has defaults of its own for. */
function expressed(request: object | null): object | null {
  return request && { ...request, lockTimeoutMs: null, ahead: null };
}

const NOTHING = { action: "up", transaction: "auto", executor: "auto" };

/** A deployment has a default of its own for one duration, and a continued one has less left of both. */
function withoutDurations(request: unknown): object | null {
  return isRecord(request) ? { ...request, lockTimeoutMs: null, timeoutMs: null } : null;
}

function parametersOf(event: unknown): unknown {
  const { data } = Object(Reflect.get(Object(event), "CodePipeline.job"));
  const configuration = isRecord(data?.actionConfiguration)
    ? data.actionConfiguration.configuration
    : {};
  const words = (isRecord(configuration) ? configuration.UserParameters : null) ?? "";
  if (typeof words !== "string") return null;
  const trimmed = words.trim();
  if (trimmed === "") return expectedRequest({});
  if (/^(up|plan|status)$/.test(trimmed)) return expectedRequest({ action: trimmed });
  const value = parsed(trimmed);
  return isRecord(value) ? expectedOfPerson(value) : null;
}

function detailsOf(event: unknown): unknown {
  return expectedAmongOthers(Reflect.get(Object(event), "hookDetails") ?? {}, ["neonMigrations"]);
}

function isDestruction(event: unknown): boolean {
  if (!isRecord(event)) return false;
  if (isRecord(event.tf) && event.tf.action === "delete") return true;
  return Object.values(event).some((each) => isTerraforms(each) && each.action === "delete");
}

function isTerraforms(value: unknown): value is { readonly action: string } {
  return isRecord(value) && Object.hasOwn(value, "prev_input") && typeof value.action === "string";
}

/** The fields of tools that a variation may be left with: ECS and Step Functions both send an `executionId`. */
const TOOLS: readonly string[] = [
  ...["tf", "now", "trigger", "triggers", "timestamp", "time", "hash", "migrationsHash"],
  "executionId",
];

function expectedDirect(event: unknown): unknown {
  const added = Object.entries(isRecord(event) ? event : {}).filter(([, each]) =>
    isTerraforms(each),
  );
  return expectedOfPerson(event, [...TOOLS, ...added.map(([key]) => key)]);
}

/** The request in a place where others add fields of their own: one that looks like ours is refused all the same. */
function expectedAmongOthers(value: unknown, known: readonly string[]): unknown {
  const names = Object.keys(isRecord(value) ? value : {}).filter((key) => !known.includes(key));
  return names.some((key) => meantBy(key) !== undefined) ? null : expectedRequest(value);
}

/** The request that a custom resource's properties stand for. */
function propertiesOf(event: unknown): unknown {
  const { RequestType, ResourceProperties, OldResourceProperties } = Object(event);
  if (RequestType !== "Create" && RequestType !== "Update") return null;
  const old =
    RequestType === "Update" && isRecord(OldResourceProperties) ? OldResourceProperties : {};
  const known = ["ServiceToken", "MigrationsHash", ...Object.keys(old)];
  return expectedAmongOthers(ResourceProperties, known);
}

/** Whether somebody who knows only the documentation would call this a direct invocation. */
function runsDirectly(event: unknown): boolean {
  if (event === null || event === undefined) return true;
  if (!isRecord(event) || expectedDirect(event) === null) return false;
  const keys = Object.keys(event);
  const known = (key: string) => Object.hasOwn(REQUEST, key);
  return (
    keys.some((key) => known(key) && (event[key] ?? null) !== null) ||
    keys.every((key) => known(key) || TOOLS.includes(key) || isTerraforms(event[key]))
  );
}

function postsUp(event: unknown): boolean {
  const { httpMethod, requestContext, rawPath, path } = Object(event);
  const method = isRecord(requestContext?.http) ? requestContext.http.method : httpMethod;
  const target = typeof rawPath === "string" ? rawPath : path;
  if (method !== "POST" || !/\/migrations\/*$/.test(target)) return false;
  return !queries(event).some((key) => Object.hasOwn(REQUEST, key)) && bodyApplies(event);
}

function bodyApplies(event: unknown): boolean {
  const { body, isBase64Encoded } = Object(event);
  if ((body ?? null) === null) return true;
  if (typeof body !== "string") return false;
  const text = isBase64Encoded === true ? Buffer.from(body, "base64").toString() : body;
  if (isBase64Encoded === true && !sameBase64(body, text)) return false;
  return text.trim() === "" || expectedBody(text) !== null;
}

/** Node decodes anything: a body is base64 only if the way back leads to it. */
function sameBase64(body: string, text: string): boolean {
  const back = Buffer.from(text).toString("base64");
  return text.includes("\ufffd") || back.slice(0, -4) === body.slice(0, back.length - 4);
}

function queries(event: unknown): readonly string[] {
  const { queryStringParameters, multiValueQueryStringParameters } = Object(event);
  return [queryStringParameters, multiValueQueryStringParameters]
    .filter(isRecord)
    .flatMap((each) => Object.keys(each));
}

/** What the body of a POST asks for: its action may be left out, but be nothing else than `up`. */
function expectedBody(text: string): unknown {
  const value = parsed(text);
  if (!isRecord(value)) return null;
  if (Object.hasOwn(value, "action") && value.action !== "up") return null;
  return expectedOfPerson(value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "[".repeat(100_000);
  }
}

import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { recognise } from "../../../lib/events/recognise.ts";
import { silentLog } from "../../../lib/log.ts";
import { type Dependencies, migrate } from "../../../lib/migrate/migrate.ts";
import { requestOf } from "../../setup/call.ts";
import {
  CLOUDFORMATION,
  DEPLOYMENTS,
  DIRECT,
  HTTP,
  MARKED,
  UNMARKED,
} from "../../setup/fuzz/events.ts";
import { mutants } from "../../setup/fuzz/mutations.ts";
import { expectCoded, outcomeOfAsync } from "../../setup/fuzz/outcome.ts";
import { isRecord } from "../../setup/fuzz/request-oracle.ts";
import { handlerWith } from "../../setup/handler.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle } from "../../setup/make-migration.ts";
import { tries } from "../../setup/tries.ts";

/** What is left of the time only matters to the answers that are sent, and nobody listens to those here. */
const CONTEXT = lambdaContext(400);

beforeEach(() => {
  vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
  return () => void vi.unstubAllEnvs();
});

/** Nothing says where a database is, whatever our environment does, so that a real run ends as soon as it asks. */
function nowhere(): never {
  throw new MigratorError("DATABASE_URL_MISSING", "There is no database here.");
}

async function answer(event: unknown): Promise<{ answer: unknown; runs: readonly string[] }> {
  const runs: string[] = [];
  const run: typeof migrate = (request, dependencies: Dependencies) => {
    runs.push(request.action);
    return migrate(request, { ...dependencies, target: nowhere });
  };
  const handler = handlerWith({ bundle: makeBundle(), run, logFor: () => silentLog });
  const answered = await handler(event, CONTEXT).catch(expectCoded);
  return { answer: answered, runs };
}

test("every variation of every event is answered in its caller's form, and runs once at most", async () => {
  // The other deployments are answered by calls to AWS.
  const hooks = DEPLOYMENTS.filter((event) => recognise(event).source === "ecs");
  const events = [...DIRECT, ...HTTP, ...CLOUDFORMATION, ...hooks, ...MARKED, ...UNMARKED];
  // The address of an answer is CloudFormation's own: any other one might be somebody's.
  const variations = fc.oneof(...events.map((event) => mutants(event))).map(withClosedUrl);
  await fc.assert(
    fc.asyncProperty(variations, async (event) => {
      const { source } = recognise(event);
      const { value: request } = await outcomeOfAsync(() => requestOf(event, CONTEXT));

      const { answer: answered, runs } = await answer(event);

      expect(runs).toEqual(request === null ? [] : [request.action]);
      if (!(answered instanceof Error)) expectForm(source, answered);
    }),
    { numRuns: tries(150, 1_000) },
  );
});

function expectForm(source: string, answered: unknown): void {
  const { statusCode, body, PhysicalResourceId, Data, status, hookStatus } = Object(answered);
  if (source === "http") {
    expect(statusCode).toBeGreaterThanOrEqual(400);
    expect(JSON.parse(body)).toMatchObject({ status: "failed" });
  }
  if (source === "cloudformation") {
    expect(PhysicalResourceId).not.toBe("");
    for (const attribute of Object.values(Data)) expect(attribute).toBeTypeOf("string");
  }
  if (source === "direct" && answered !== null) expect(status).toBe("failed");
  if (source === "ecs") expect(hookStatus).toMatch(/^(SUCCEEDED|FAILED)$/);
  expect(source).not.toBe("unsupported");
}

function withClosedUrl(event: unknown): unknown {
  const ours = isRecord(event) && Object.hasOwn(event, "ResponseURL");
  return ours ? { ...event, ResponseURL: "http://127.0.0.1:9/answer" } : event;
}

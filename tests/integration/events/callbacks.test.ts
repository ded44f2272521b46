import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { ErrorCode } from "../../../lib/errors.ts";
import { ERROR_CODES, MigratorError } from "../../../lib/errors.ts";
import { buildReport, failedReport, type Report } from "../../../lib/report/report.ts";
import { startLoopback } from "../../../local/aws/loopback.ts";
import { startBucket } from "../../../local/cloudformation/bucket.ts";
import { judge, type ResourceRequest } from "../../../local/cloudformation/response.ts";
import { type LocalDeployments, startDeployments } from "../../../local/deployments/deployments.ts";
import { makeCall, respondTo } from "../../setup/call.ts";
import { anyCharacter } from "../../setup/fuzz/characters.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { recordedEvent } from "../../setup/recorded-events.ts";
import { tries } from "../../setup/tries.ts";

// As long as a real one: it is part of the answers.
const CONTEXT = { ...lambdaContext(), awsRequestId: "8f507cfc-xmpl-4697-b07a-ac58fc914c95" };

const JOB = recordedEvent("codepipeline/job");
// The recorded event is what CloudFormation sends.
const UPDATE = recordedEvent("cloudformation/update") as ResourceRequest;
const HOOK = recordedEvent("codedeploy/before-allow-traffic");

let deployments: LocalDeployments;

beforeEach(async () => {
  deployments = await startDeployments();
  for (const [name, value] of Object.entries(deployments.environment)) vi.stubEnv(name, value);
  return () => deployments.stop();
});

afterEach(() => {
  vi.unstubAllEnvs();
});

function respond(event: unknown, report: Report, patienceMs = 600_000): Promise<unknown> {
  return respondTo(event, report, makeCall(CONTEXT, Date.now() + patienceMs));
}

function failed(code: ErrorCode, message = "It failed."): Report {
  return failedReport("request", new MigratorError(code, message));
}

const upToDate = buildReport("request", "up-to-date", {});

describe("an answer to CodePipeline", () => {
  test("is within every limit of its API, however long and odd the report is", async () => {
    const anyText = fc.string({ unit: anyCharacter, maxLength: 40 });
    const long = fc
      .tuple(anyText, fc.nat(9_000))
      .map(([each, times]) => each.repeat(times / 8 + 1));
    const tags = fc.array(anyText, { maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), long, tags, fc.uuid(), async (fails, words, names, id) => {
        const applied = names.map((tag) => ({
          ...{ tag, hash: "5f", when: 1, statements: 1, durationMs: 1 },
        }));
        const facts = { applied, latest: words };
        const report = fails
          ? failedReport("request", new MigratorError("MIGRATION_FAILED", words), facts)
          : buildReport("request", "applied", facts);
        const job = Reflect.get(Object(JOB), "CodePipeline.job");

        await respond({ "CodePipeline.job": { ...job, id } }, report);

        expect(deployments.calls.at(-1)).toMatchObject({
          operation: fails ? "PutJobFailureResult" : "PutJobSuccessResult",
          refusedWith: null,
        });
      }),
      { numRuns: tries(12, 60) },
    );
  });

  test.each([
    ["MIGRATION_FAILED", "JobFailed"],
    ["DEADLINE", "JobFailed"],
    ["REQUEST_INVALID", "ConfigurationError"],
    ["LOGIN_FAILED", "PermissionError"],
    ["OUT_OF_ORDER", "RevisionOutOfSync"],
    ["UNREACHABLE", "SystemUnavailable"],
  ] as const)("says in its own words what %s is", async (code, type) => {
    await respond(JOB, failed(code));

    expect(deployments.calls).toMatchObject([
      {
        operation: "PutJobFailureResult",
        input: {
          failureDetails: {
            type,
            message: `${code}: It failed. The report is in the function's log, request ${CONTEXT.awsRequestId}.`,
            externalExecutionId: CONTEXT.awsRequestId,
          },
        },
        refusedWith: null,
      },
    ]);
  });

  test("has nothing of a row in it when PostgreSQL quotes one", async () => {
    const facts = { migration: "0001_unique", sqlstate: "22P02" };
    const error = new MigratorError(
      "MIGRATION_FAILED",
      'invalid input: "alice@example.com"',
      facts,
    );

    await respond(JOB, failedReport("request", error));

    expect(JSON.stringify(deployments.calls)).not.toContain("alice");
    expect(JSON.stringify(deployments.calls)).toContain("22P02");
  });
});

describe("an answer to CloudFormation", () => {
  test("is within its limits, with code and reference, however long and odd the report is", async () => {
    const bucket = await startBucket();
    onTestFinished(() => bucket.stop());
    const anyText = fc.string({ unit: anyCharacter, minLength: 1, maxLength: 20 });
    const long = fc
      .tuple(anyText, fc.nat(2_000))
      .map(([each, times]) => each.repeat(times + 1).slice(0, 4_000));
    // What an earlier provider of the resource called it.
    const adopted = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 255 });
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        long,
        long,
        adopted,
        fc.uuid(),
        async (fails, words, latest, id, key) => {
          const report = fails
            ? failedReport("request", new MigratorError("MIGRATION_FAILED", words), { latest })
            : buildReport("request", "applied", { latest });
          const request = { ...UPDATE, PhysicalResourceId: id, ResponseURL: bucket.presign(key) };

          await respond(request, report);

          const verdict = judge(bucket.puts(key)[0]?.body ?? "", request);
          expect(verdict.problems).toEqual([]);
          expect(verdict.physicalResourceId).toBe(id);
          if (fails) expect(verdict.reason).toMatch(/^MIGRATION_FAILED: .*The report is in the /su);
        },
      ),
      { numRuns: tries(20, 100) },
    );
  });
});

describe("an answer to CodeDeploy", () => {
  test("knows two words", async () => {
    await respond(HOOK, failed("LOCKED"));
    await respond({ ...Object(HOOK), LifecycleEventHookExecutionId: "another" }, upToDate);

    expect(deployments.calls.map(({ input }) => input.status)).toEqual(["Failed", "Succeeded"]);
  });
});

describe.each([
  ["CodePipeline", JOB],
  ["CodeDeploy", HOOK],
])("an answer to %s", (service, event) => {
  test("that was given before is none any more, and no failure", async () => {
    const first = await respond(event, upToDate);
    const second = await respond(event, failed("LOCKED"));

    expect([first, second]).toEqual([{ answered: true }, { answered: false }]);
    expect(deployments.calls).toHaveLength(2);
  });

  test("is sent again when the service fails", async () => {
    deployments.failCalls(2, 503);

    await respond(event, upToDate);

    expect(deployments.calls).toMatchObject([{ refusedWith: null }]);
  });

  test("is sent again while it is not allowed yet", async () => {
    deployments.deny({ forCalls: 1 });

    await respond(event, upToDate);

    expect(deployments.calls.map(({ refusedWith }) => refusedWith)).toEqual([
      "AccessDeniedException",
      null,
    ]);
  });

  test("ends the call with an error when it is not allowed, so that somebody hears of it", async () => {
    deployments.deny();

    await expect(respond(event, upToDate, 3_000)).rejects.toMatchObject({
      code: "INTERNAL",
      message: expect.stringMatching(
        new RegExp(
          `^${service} could not be answered after \\d+ s: AccessDeniedException: User: .*\\. Allow the function's role ${service.toLowerCase()}:Put`,
        ),
      ),
    });
  });

  test("is given up at the deadline", async () => {
    let calls = 0;
    const silent = await startLoopback(() => {
      calls += 1;
      return Promise.resolve();
    });
    onTestFinished(() => silent.stop());
    vi.stubEnv("AWS_ENDPOINT_URL", silent.url);

    await expect(respond(event, upToDate, 300)).rejects.toMatchObject({
      code: "INTERNAL",
      message: `${service} could not be answered: AbortError: Request aborted`,
    });

    // It would be called again after each answer that does not come.
    expect(calls).toBeLessThanOrEqual(1);
  });
});

test("every code can be told to CodePipeline", async () => {
  const job = Reflect.get(Object(JOB), "CodePipeline.job");
  for (const [index, code] of ERROR_CODES.entries()) {
    const id = `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
    await respond({ "CodePipeline.job": { ...job, id } }, failed(code));
  }

  expect(deployments.calls.filter(({ refusedWith }) => refusedWith !== null)).toEqual([]);
});

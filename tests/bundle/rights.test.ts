import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { startCloudFormation } from "../../local/cloudformation/cloudformation.ts";
import { type LocalDeployments, startDeployments } from "../../local/deployments/deployments.ts";
import type { Outcome } from "../../local/lambda/sandbox.ts";
import { accounts, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { startHeldQueue } from "../setup/held-queue.ts";
import { recordedEvent } from "../setup/recorded-events.ts";

const NAME = "shop/database";
const BY_SECRET = { DATABASE_URL_SECRET: NAME };
const BY_PARAMETER = { DATABASE_URL_PARAMETER: NAME };
const ONCE = { forCalls: 1 };

let database: TestDatabase;
let secrets: LocalSecrets;
let deployments: LocalDeployments;
let deployment: Deployment | null;

beforeEach(async () => {
  database = await createTestDatabase();
  [secrets, deployments] = await Promise.all([startSecrets(), startDeployments()]);
  secrets.set(NAME, database.url);
});

afterEach(async () => {
  await deployment?.remove();
  deployment = null;
  await Promise.all([secrets.stop(), deployments.stop(), database.close()]);
});

/** Deploys one migration. The function finds its database as the settings say. */
async function deploy(settings: Readonly<Record<string, string>>): Promise<Deployment> {
  const { DATABASE_URL, ...rest } = await database.functionEnvironment();
  const found = "DATABASE_URL_SECRET" in settings || "DATABASE_URL_PARAMETER" in settings;
  const made = prepareDeployment({
    ...rest,
    ...secrets.environment,
    AWS_ENDPOINT_URL_CODEPIPELINE: deployments.url,
    AWS_ENDPOINT_URL_CODEDEPLOY: deployments.url,
    ...(found || DATABASE_URL === undefined ? {} : { DATABASE_URL }),
    ...settings,
  });
  deployment = made;
  await made.deploy(accounts);
  return made;
}

/** The lines of the log about rights, with their times left out. */
function linesOf(outcomes: readonly Outcome[]): readonly (readonly [unknown, unknown])[] {
  return outcomes
    .flatMap(({ logs }) => logs)
    .filter((line) => line.includes('"rights.'))
    .map((line) => JSON.parse(line))
    .map(({ event, denied }) => [event, denied]);
}

const waited = (denied: string) => [
  ["rights.denied", denied],
  ["rights.granted", denied],
];

describe("a right to read the connection string that is seconds old is waited for:", () => {
  test.each([
    ["a secret's", BY_SECRET, "itself", "secretsmanager:GetSecretValue"],
    ["that of a secret's key", BY_SECRET, "its key", "secretsmanager:GetSecretValue"],
    ["a parameter's", BY_PARAMETER, "itself", "ssm:GetParameter"],
    ["that of a parameter's key", BY_PARAMETER, "its key", "ssm:GetParameter"],
  ] as const)("%s", async (_what, settings, of, action) => {
    secrets.deny(NAME, { ...ONCE, of });
    const { deliver } = await deploy(settings);

    const outcome = await deliver({ requestId: "first", event: {} });

    expect(outcome).toMatchObject({ functionError: null, payload: { status: "applied" } });
    expect(linesOf([outcome])).toEqual(waited(`${action} on ${NAME}`));
    expect(secrets.reads(NAME)).toBe(2);
  });
});

const http = (method: string, path: string) => {
  const event = Object(recordedEvent("http/function-url-post-without-body"));
  const { requestContext } = event;
  return {
    ...event,
    rawPath: path,
    requestContext: { ...requestContext, http: { ...requestContext.http, method, path } },
  };
};

describe("whoever asks for a run gets it, though the secret's grant is seconds old:", () => {
  test.each([
    ["ECS", recordedEvent("ecs/pre-scale-up")],
    ["POST", http("POST", "/migrations")],
    ["a plan in a pipeline", { action: "plan" }],
  ])("%s", async (_trigger, event) => {
    secrets.deny(NAME, ONCE);
    const { deliver } = await deploy(BY_SECRET);

    const outcome = await deliver({ requestId: "first", event });

    expect(linesOf([outcome])).toEqual(waited(`secretsmanager:GetSecretValue on ${NAME}`));
    expect(outcome.logs.join("\n")).toContain('"run.finished"');
  });

  test("CloudFormation", async () => {
    secrets.deny(NAME, ONCE);
    const { deliver, functionArn } = await deploy(BY_SECRET);
    const stack = await startCloudFormation({
      invoke: (event) => deliver({ requestId: "first", event }),
      serviceToken: functionArn,
    });
    onTestFinished(() => stack.stop());

    const { status, problems } = await stack.create("Migrations");

    expect([status, problems]).toEqual(["CREATE_COMPLETE", []]);
    expect(await written(database)).toMatchObject({ ledger: [accounts.when] });
  });
});

describe("nobody waits", () => {
  test.each([
    ["a plan", "/migrations/plan"],
    ["how far a run is", "/migrations/runs/6f3c1b1e-8a9b-4c1d-9e2f-0a1b2c3d4e5f"],
  ])("in front of a screen: %s", async (_what, path) => {
    secrets.deny(NAME);
    const { deliver } = await deploy(BY_SECRET);

    const { payload } = await deliver({ requestId: "first", event: http("GET", path) });

    expect(payload).toMatchObject({ statusCode: 500 });
    const { error } = JSON.parse(Reflect.get(Object(payload), "body"));
    expect(error).toMatchObject({ code: "SECRET_UNAVAILABLE", retryable: false });
    expect(error.message).toMatch(/ could not be read: AccessDeniedException: .*Allow the /);
    expect(secrets.reads(NAME)).toBe(1);
  });

  test.each([
    ["a secret that is not there", { DATABASE_URL_SECRET: "gone" }],
    ["a parameter that is not there", { DATABASE_URL_PARAMETER: "gone" }],
  ])("for %s", async (_what, settings) => {
    const { deliver } = await deploy(settings);

    const { payload } = await deliver({ requestId: "first", event: { onFailure: "return" } });

    expect(payload).toMatchObject({ error: { code: "SECRET_UNAVAILABLE" } });
    expect(secrets.reads("gone")).toBe(1);
  });
});

test("a right that stays away until the request's time is over is told with the time and the grant", async () => {
  secrets.deny(NAME);
  const { deliver } = await deploy(BY_SECRET);

  const event = { onFailure: "return", timeoutMs: 1_400 };
  const outcome = await deliver({ requestId: "first", event });

  expect(outcome.payload).toMatchObject({
    error: {
      code: "SECRET_UNAVAILABLE",
      message: expect.stringMatching(
        /^The secret shop\/database could not be read after \d+ s: AccessDeniedException: User: .*\. Allow the function's role secretsmanager:GetSecretValue on it, and kms:Decrypt on its key/,
      ),
    },
  });
  expect(linesOf([outcome])).toEqual([
    ["rights.denied", `secretsmanager:GetSecretValue on ${NAME}`],
  ]);
  expect(await written(database)).toEqual(WRITTEN.nothing);
});

describe("a right to answer that is seconds old is waited for:", () => {
  test.each([
    ["CodePipeline", "codepipeline/job", "PutJobSuccessResult"],
    ["CodeDeploy", "codedeploy/before-allow-traffic", "PutLifecycleEventHookExecutionStatus"],
  ])("%s", async (_service, name, operation) => {
    secrets.deny(NAME, ONCE);
    deployments.deny(ONCE);
    const { deliver } = await deploy(BY_SECRET);

    const outcome = await deliver({ requestId: "first", event: recordedEvent(name) });

    expect(outcome).toMatchObject({ functionError: null, payload: { answered: true } });
    expect(deployments.calls).toMatchObject([
      { operation, refusedWith: "AccessDeniedException" },
      { operation, refusedWith: null },
    ]);
    expect(linesOf([outcome])).toEqual([
      ...waited(`secretsmanager:GetSecretValue on ${NAME}`),
      ...waited(expect.stringContaining(`:${operation}`)),
    ]);
  });
});

test("a right of the function to invoke itself that is seconds old is waited for", async () => {
  const queue = await startHeldQueue({ functionArn: LOCAL_FUNCTION_ARN });
  onTestFinished(() => queue.stop());
  queue.deny(ONCE);
  const { deliver } = await deploy(queue.environment);
  const event = { ...http("POST", "/migrations"), headers: { prefer: "respond-async" } };

  const outcome = await deliver({ requestId: "first", event });

  expect(outcome.payload).toMatchObject({ statusCode: 202 });
  expect(queue.held).toHaveLength(1);
  expect(linesOf([outcome])).toEqual(waited(`lambda:InvokeFunction on ${LOCAL_FUNCTION_ARN}`));
});

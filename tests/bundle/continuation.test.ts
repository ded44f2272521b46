import { afterEach, beforeEach, expect, test } from "vitest";
import { lockKey } from "../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER } from "../../lib/target/target.ts";
import { type LocalDeployments, startDeployments } from "../../local/deployments/deployments.ts";
import { accounts, booking, closeGate, slow, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { recordedEvent } from "../setup/recorded-events.ts";

/** The function keeps ten seconds of its time for cancelling what runs, and another one for saying who holds the lock. */
const CANCELLING_MS = 8_000;
const GIVING_UP_MS = 10_500;

let database: TestDatabase;
let deployments: LocalDeployments;
let environment: Record<string, string>;
let deployment: Deployment;

beforeEach(async () => {
  database = await createTestDatabase();
  deployments = await startDeployments();
  environment = {
    ...(await database.functionEnvironment()),
    ...deployments.environment,
  };
});

afterEach(async () => {
  await deployment.remove();
  await deployments.stop();
  await database.close();
});

/** The event of the next job, as CodePipeline sends it after a continuation token. */
function nextJob(name: string, jobId: string, continuationToken: unknown): unknown {
  const job = Reflect.get(Object(recordedEvent(name)), "CodePipeline.job");
  return { "CodePipeline.job": { ...job, id: jobId, data: { ...job.data, continuationToken } } };
}

test("a job of CodePipeline goes on in a second call where the first ran out of time", async () => {
  const gate = await closeGate(database);
  deployment = prepareDeployment(environment, { movableClock: true });
  await deployment.deploy(accounts, booking, slow);
  const name = "codepipeline/job-with-json";

  const delivering = deployment.deliver({ requestId: "first", event: recordedEvent(name) });
  await gate.reached();
  deployment.leaveOnly(CANCELLING_MS);
  await delivering;
  const [first] = deployments.calls;
  await gate.open();
  const event = nextJob(
    name,
    "77777777-abcd-1111-abcd-111111abcdef",
    first?.input.continuationToken,
  );
  await deployment.deliver({ requestId: "second", event });

  const [, second] = deployments.calls;
  expect(deployments.calls.map(({ operation, refusedWith }) => [operation, refusedWith])).toEqual(
    Array(2).fill(["PutJobSuccessResult", null]),
  );
  expect(JSON.parse(String(first?.input.continuationToken))).toMatchObject({ applied: 2 });
  expect(first?.input.executionDetails).toMatchObject({ percentComplete: 66 });
  expect(second?.input.continuationToken).toBeUndefined();
  expect(second?.input.outputVariables).toMatchObject({
    status: "applied",
    appliedCount: "3",
    pendingCount: "0",
    latest: slow.tag,
  });
  expect(await written(database)).toEqual(WRITTEN.upToSlow);
});

test("a hook of ECS asks to be called again while another run holds the lock", async () => {
  const gate = await closeGate(database);
  deployment = prepareDeployment(environment, { movableClock: true });
  await deployment.deploy(accounts, booking);
  const holder = await database.hold(`select pg_advisory_lock(${lockKey(DEFAULT_LEDGER)})`);
  const hook = Object(recordedEvent("ecs/pre-scale-up-with-details"));

  const delivering = deployment.deliver({ requestId: "first", event: hook });
  await gate.queued();
  deployment.leaveOnly(GIVING_UP_MS);
  const { payload: waiting } = await delivering;
  await holder.release();
  const { hookDetails } = Object(waiting);
  const event = { ...hook, hookDetails };
  const { payload: done } = await deployment.deliver({ requestId: "second", event });

  expect(waiting).toEqual({
    hookStatus: "IN_PROGRESS",
    callBackDelay: 30,
    hookDetails: {
      ...hook.hookDetails,
      neonMigrations: { since: expect.any(Number), applied: 0, done: 0 },
    },
  });
  expect(done).toEqual({ hookStatus: "SUCCEEDED" });
  expect(await written(database)).toEqual(WRITTEN.upToBooking);
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change, Exchange } from "../../local/cloudformation-exchange.ts";
import type { ResourceRequest } from "../../local/cloudformation-response.ts";
import type { Job, Outcome } from "../../local/lambda-sandbox.ts";
import type { Relay } from "../../local/relay.ts";
import {
  accounts,
  booking,
  broken,
  closeGate,
  type Gate,
  slow,
  WRITTEN,
  written,
} from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { answerAsFramework, FRAMEWORK_ARN } from "../setup/provider-framework.ts";
import { expectReport } from "../setup/report-schema.ts";
import { startStack, type TestStack } from "../setup/stack.ts";
import { waitFor } from "../setup/wait-for.ts";

const ID = "Migrations";
const CREATE: Change = {
  RequestType: "Create",
  LogicalResourceId: ID,
  ResourceProperties: { MigrationsHash: "a" },
};
const LAMBDA_MAXIMUM_MS = 900_000;

let database: TestDatabase;
let gate: Gate;
let relay: Relay;
let deployment: Deployment;
let stack: TestStack;

beforeEach(async () => {
  database = await createTestDatabase();
  gate = await closeGate(database);
  relay = await database.startRelay({ mode: "neon" });
  deployment = prepareDeployment(environment(), LAMBDA_MAXIMUM_MS);
  stack = await startStack(deployment.functionArn, (request) =>
    deployment.deliverFromQueue(jobOf(request)),
  );
  return async () => {
    await deployment.remove();
    await stack.stop();
    await database.close();
  };
});

function environment(): Record<string, string> {
  return { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
}

/** A duplicate in Lambda's queue has the request id of the first one. */
function jobOf(request: ResourceRequest): Job {
  return { requestId: request.RequestId, event: request };
}

/** The Update that follows a Create. */
function update({ physicalResourceId }: Exchange, changes: Partial<Change> = {}): Change {
  return {
    RequestType: "Update",
    LogicalResourceId: ID,
    PhysicalResourceId: physicalResourceId ?? "",
    ResourceProperties: { MigrationsHash: "b" },
    OldResourceProperties: { MigrationsHash: "a" },
    ...changes,
  };
}

/** What CloudFormation reads in each answer to a request, in no order: a duplicate may overtake. */
function read(request: ResourceRequest): readonly unknown[] {
  return stack
    .answers(request)
    .map(({ status, problems, data }) => [status, problems, data.status, data.appliedCount])
    .sort();
}

/** The physical ids that the answers to some requests name. */
function physicalIds(...requests: readonly ResourceRequest[]): ReadonlySet<string | null> {
  const answers = requests.flatMap((request) => stack.answers(request));
  return new Set(answers.map(({ physicalResourceId }) => physicalResourceId));
}

function logged({ logs }: Outcome, name: string): readonly Record<string, unknown>[] {
  return logs.map((line) => JSON.parse(line)).filter(({ event }) => event === name);
}

/** The report in the message of a failed call. */
function reportIn({ payload }: Outcome): ReturnType<typeof expectReport> {
  const message = String(Reflect.get(Object(payload), "errorMessage"));
  return expectReport(JSON.parse(message.slice(message.indexOf("\n"))));
}

describe("a request of CloudFormation that is delivered twice at once, and again later", () => {
  /** The second delivery arrives in the middle of the first one's slow migration. */
  async function sendTwice(change: Change): Promise<Exchange> {
    const sending = stack.send(change, { deliveries: 2 });
    await gate.queued();
    await gate.open();
    return sending;
  }

  test("creates once, with one physical id in three good answers", async () => {
    await deployment.deploy(accounts, booking, slow);

    const created = await sendTwice(CREATE);
    await deployment.deliver(jobOf(created.request));

    expect(read(created.request)).toEqual([
      ["SUCCESS", [], "applied", "3"],
      ["SUCCESS", [], "up-to-date", "0"],
      ["SUCCESS", [], "up-to-date", "0"],
    ]);
    expect(physicalIds(created.request)).toEqual(new Set([created.physicalResourceId]));
    expect(deployment.ended.map(({ payload }) => payload)).toEqual(
      Array(3).fill({ answered: true }),
    );
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("updates once, under the physical id that it had", async () => {
    await deployment.deploy(accounts);
    const created = await stack.send(CREATE);
    await deployment.deploy(accounts, booking, slow);

    const updated = await sendTwice(update(created));
    await deployment.deliver(jobOf(updated.request));

    expect(read(updated.request)).toEqual([
      ["SUCCESS", [], "applied", "2"],
      ["SUCCESS", [], "up-to-date", "0"],
      ["SUCCESS", [], "up-to-date", "0"],
    ]);
    expect(physicalIds(created.request, updated.request).size).toBe(1);
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("fails each time with the same words, and leaves nothing", async () => {
    await deployment.deploy(accounts, booking, broken);

    const created = await stack.send(CREATE, { deliveries: 2 });
    await deployment.deliver(jobOf(created.request));

    const answers = stack.answers(created.request);
    expect(read(created.request)).toEqual(Array(3).fill(["FAILED", [], "failed", "0"]));
    expect(new Set(answers.map(({ reason }) => reason)).size).toBe(1);
    expect(answers[0]?.reason).toContain(broken.tag);
    expect(physicalIds(created.request).size).toBe(1);
    expect(await written(database)).toEqual(WRITTEN.nothing);
  });
});

describe("a direct invocation that Lambda delivers again", () => {
  test.each([
    ["auto", WRITTEN.nothing],
    ["each", WRITTEN.upToBooking],
  ])("fails the same way each time with transaction %s", async (transaction, left) => {
    await deployment.deploy(accounts, booking, broken);
    const job = { requestId: "9d1c2f4e", event: { transaction } };

    const attempts = await deployment.deliverFromQueue(job);

    const reports = attempts.map(reportIn);
    expect(reports.map(({ requestId, status, error }) => [requestId, status, error])).toEqual(
      Array(3).fill(["9d1c2f4e", "failed", reports[0]?.error]),
    );
    expect(reports[0]?.error).toMatchObject({ migration: broken.tag, sqlstate: "23502" });
    expect(await written(database)).toEqual(left);
  });

  test("is up-to-date when it had succeeded", async () => {
    await deployment.deploy(accounts, booking);
    const job = { requestId: "9d1c2f4e", event: {} };

    const outcomes = [];
    for (let times = 1; times <= 3; times += 1) outcomes.push(await deployment.deliver(job));

    expect(outcomes.map(({ payload }) => expectReport(payload).status)).toEqual([
      "applied",
      "up-to-date",
      "up-to-date",
    ]);
    expect(await written(database)).toEqual(WRITTEN.upToBooking);
  });
});

describe("a function that is killed", () => {
  test.each(["auto", "each"])(
    "in the middle of a migration is finished by the retry, with transaction %s",
    async (transaction) => {
      await deployment.deploy(accounts, booking, slow);
      const properties = { ...CREATE.ResourceProperties, transaction };
      const sending = stack.send({ ...CREATE, ResourceProperties: properties });
      const backend = await gate.reached();

      await deployment.kill();
      await waitFor(async () => !(await gate.locked(backend)), 2_000);
      await gate.reached(backend);
      await gate.open();
      const created = await sending;

      const count = transaction === "each" ? "1" : "3";
      expect(deployment.ended.map(({ functionError }) => functionError)).toEqual([
        "Unhandled",
        null,
      ]);
      expect(read(created.request)).toEqual([["SUCCESS", [], "applied", count]]);
      expect(await written(database)).toEqual(WRITTEN.upToSlow);
    },
  );

  test("between the commit and the answer is answered for by the retry", async () => {
    await deployment.deploy(accounts, booking);
    stack.front.fail("silence");
    const sending = stack.send(CREATE);
    await waitFor(() => stack.front.connections() === 1);

    await deployment.kill();
    const created = await sending;

    expect(read(created.request)).toEqual([["SUCCESS", [], "up-to-date", "0"]]);
    expect(await written(database)).toEqual(WRITTEN.upToBooking);
  });
});

test("a Delete under an invented id is answered at once, while the Create goes on undisturbed", async () => {
  await deployment.deploy(accounts, booking, slow);
  const creating = stack.send(CREATE);
  await gate.reached();

  const deleted = [];
  for (const invented of [ID, `local-${ID}-1A2B3C4D5E6F`]) {
    const change = { ...CREATE, RequestType: "Delete", PhysicalResourceId: invented } as const;
    deleted.push(await stack.send(change));
  }
  const stillRunning = await gate.busy();
  const connected = deployment.ended.flatMap((each) => logged(each, "connected"));
  await gate.open();
  const created = await creating;

  expect(deleted.map(({ status, problems, puts }) => [status, problems, puts])).toEqual(
    Array(2).fill(["SUCCESS", [], [200]]),
  );
  expect([stillRunning, connected]).toEqual([true, []]);
  expect(read(created.request)).toEqual([["SUCCESS", [], "applied", "3"]]);
  expect(await written(database)).toEqual(WRITTEN.upToSlow);
});

describe("a rollback: an Update by the older code, with the properties swapped", () => {
  test.each(["warn", "error"])(
    "succeeds against a database that is ahead, with ahead %s",
    async (ahead) => {
      const of = (MigrationsHash: string) => ({ MigrationsHash, ahead });
      await deployment.deploy(accounts);
      const created = await stack.send({ ...CREATE, ResourceProperties: of("a") });
      await deployment.deploy(accounts, booking);
      await stack.send(update(created, { ResourceProperties: of("b") }));
      await deployment.deploy(accounts);

      const undone = await stack.send(
        update(created, { ResourceProperties: of("a"), OldResourceProperties: of("b") }),
      );

      expect(read(undone.request)).toEqual([["SUCCESS", [], "up-to-date", "0"]]);
      expect(undone.data).toMatchObject({ ahead: "true", latest: accounts.tag });
      const [finished] = deployment.ended.slice(-1).flatMap((each) => logged(each, "run.finished"));
      expect(finished).toMatchObject({ report: { drift: { unknown: [{ when: booking.when }] } } });
      expect(physicalIds(created.request, undone.request).size).toBe(1);
      expect(await written(database)).toEqual(WRITTEN.upToBooking);
    },
  );

  test("waits for the Update that it undoes as long as the function may run", async () => {
    await deployment.deploy(accounts);
    const created = await stack.send(CREATE);
    await deployment.deploy(accounts, booking, slow);
    const updating = stack.send(update(created));
    await gate.reached();
    await deployment.deploy(accounts);

    const undoing = stack.send(update(created));
    await gate.queued();
    await gate.open();
    const [updated, undone] = [await updating, await undoing];

    const waits = deployment.ended.flatMap((outcome) => logged(outcome, "lock.waiting"));
    expect(waits).toHaveLength(1);
    expect(waits[0]?.timeoutMs).toBeGreaterThanOrEqual(LAMBDA_MAXIMUM_MS);
    expect(read(updated.request)).toEqual([["SUCCESS", [], "applied", "2"]]);
    expect(read(undone.request)).toEqual([["SUCCESS", [], "up-to-date", "0"]]);
    expect(undone.data.ahead).toBe("true");
    expect(await written(database)).toEqual(WRITTEN.upToSlow);
  });

  test("is no excuse for a Create: it refuses such a database on request", async () => {
    await deployment.deploy(accounts, booking);
    await stack.send(CREATE);
    await deployment.deploy(accounts);

    const created = await stack.send({ ...CREATE, ResourceProperties: { ahead: "error" } });

    expect(created).toMatchObject({ status: "FAILED", reason: expect.stringContaining("AHEAD") });
    expect(await written(database)).toEqual(WRITTEN.upToBooking);
  });
});

describe("an answer to CloudFormation", () => {
  test.each([
    ["before it is stored", "reset", 1],
    ["after it is stored", "reset-after-storing", 2],
  ] as const)("is sent again when its connection is reset %s", async (_when, fault, stored) => {
    await deployment.deploy(accounts, booking);
    stack.front.fail(fault);

    const created = await stack.send(CREATE);

    const answers = stack.answers(created.request);
    expect(stack.front.connections()).toBe(2);
    expect(answers).toHaveLength(stored);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(created).toMatchObject({ status: "SUCCESS", data: { status: "applied" } });
    expect(await written(database)).toEqual(WRITTEN.upToBooking);
  });

  describe("by a function that has little time", () => {
    let brief: Deployment;

    async function deployBrief(timeoutMs: number): Promise<void> {
      brief = prepareDeployment(environment(), timeoutMs);
      await brief.deploy(accounts, booking);
    }

    const invoke = (request: ResourceRequest) => brief.deliver(jobOf(request));

    afterEach(() => brief.remove());

    test("is sent again when the first connection goes silent", async () => {
      await deployBrief(4_000);
      stack.front.fail("silence");

      const created = await stack.send(CREATE, { invoke });

      expect(read(created.request)).toEqual([["SUCCESS", [], "applied", "2"]]);
    });

    test("ends the call with an error when it is always refused, and is left to the retry", async () => {
      await deployBrief(2_000);
      stack.bucket.failPuts(Number.POSITIVE_INFINITY, 503);

      const lost = await stack.send(CREATE, { invoke });
      stack.bucket.failPuts(0, 503);
      await brief.deliver(jobOf(lost.request));

      const [first, second] = brief.ended;
      expect(first).toMatchObject({
        functionError: "Unhandled",
        payload: { errorType: "INTERNAL", errorMessage: expect.stringContaining("503") },
      });
      expect(JSON.stringify(first)).not.toContain("Signature");
      expect(second?.payload).toEqual({ answered: true });
      expect(read(lost.request)).toEqual([["SUCCESS", [], "up-to-date", "0"]]);
      expect(await written(database)).toEqual(WRITTEN.upToBooking);
    });
  });
});

test("behind CDK's Provider framework every request gets one answer, and it is the framework's", async () => {
  const deliver = (event: ResourceRequest) => deployment.deliver(jobOf(event));
  const options = {
    serviceToken: FRAMEWORK_ARN,
    invoke: (request: ResourceRequest) => answerAsFramework(request, deliver),
  };
  await deployment.deploy(accounts, booking, broken);
  const failed = await stack.send(CREATE, options);
  await deployment.deploy(accounts, booking);
  const created = await stack.send(CREATE, options);
  const deleted = await stack.send({ ...update(created), RequestType: "Delete" }, options);

  const exchanges = [failed, created, deleted];
  expect(exchanges.map(({ status, puts, problems }) => [status, puts, problems])).toEqual([
    ["FAILED", [200], []],
    ["SUCCESS", [200], []],
    ["SUCCESS", [200], []],
  ]);
  expect(failed.reason).toContain(broken.tag);
  expect(created.data).toMatchObject({ status: "applied", appliedCount: "2" });
  expect(physicalIds(created.request, deleted.request).size).toBe(1);
  expect(await written(database)).toEqual(WRITTEN.upToBooking);
});

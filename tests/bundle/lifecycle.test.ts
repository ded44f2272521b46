import { beforeEach, describe, expect, test } from "vitest";
import type { Operation } from "../../local/cloudformation/cloudformation.ts";
import { accounts, booking, broken, slow, WRITTEN, written } from "../setup/bookings.ts";
import { expectEnd } from "../setup/lifecycle-table.ts";
import { answerAsFramework, FRAMEWORK_ARN } from "../setup/provider-framework.ts";
import { exchanged, ID, testStack } from "../setup/stack.ts";
import { waitFor } from "../setup/wait-for.ts";

const VERSIONS = {
  first: { migrations: [accounts] },
  second: { migrations: [accounts, booking] },
  broken: { migrations: [accounts, booking, broken] },
  slow: { migrations: [accounts, booking, slow] },
  homeless: { migrations: [accounts], environment: { DATABASE_URL: "" } },
  timed: { migrations: [accounts, booking, slow], movableClock: true },
} as const;

const stack = testStack(VERSIONS);
const { create, update } = stack;

/** The physical ids that every answer of some operations names. */
function physicalIds(...operations: readonly Operation[]): ReadonlySet<string | null> {
  const all = operations.flatMap(({ exchanges }) => exchanges);
  return new Set(all.map(({ physicalResourceId }) => physicalResourceId));
}

function logged(event: string): readonly Readonly<Record<string, unknown>>[] {
  const lines = stack.ended.flatMap(({ logs }) => logs.map((line) => JSON.parse(line)));
  return lines.filter((line) => line.event === event);
}

/** The function keeps ten seconds of its time for cancelling what runs, and the last five for answering anyway. */
const CANCELLING_MS = 8_000;

const there = { accounts: ["1: 100"], ledger: [1_000] };

describe("a deployment that goes well", () => {
  test("The stack is created", async () => {
    const created = await create("second");

    expectEnd(created);
    expect(exchanged(created)).toEqual([["Create", "SUCCESS", "applied", "2"]]);
    expect(stack.cloudFormation.attributes(ID)).toEqual({
      status: "applied",
      appliedCount: "2",
      pendingCount: "0",
      latest: booking.tag,
      executor: "drizzle",
      ahead: "false",
      requestId: created.exchanges[0]?.request.RequestId,
    });
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("New migrations are deployed", async () => {
    const created = await create("first");
    const updated = await update("second");

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([["Update", "SUCCESS", "applied", "1"]]);
    expect(physicalIds(created, updated).size).toBe(1);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The code changes, the migrations do not", async () => {
    const properties = await stack.use("second");
    await stack.cloudFormation.create(ID, properties);

    const updated = await stack.cloudFormation.update(ID, properties);

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([]);
    expect(stack.ended).toHaveLength(1);
  });

  test("A setting changes, the migrations do not", async () => {
    await create("second");

    const updated = await update("second", { lockTimeoutMs: 5_000 });

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([["Update", "SUCCESS", "up-to-date", "0"]]);
  });

  test("The resource gets another logical id", async () => {
    const created = await create("second");
    const replacement = await stack.cloudFormation.create("Renamed", await stack.use("second"));
    const deleted = await stack.cloudFormation.delete(ID);

    expectEnd(replacement);
    expect([replacement, deleted].flatMap(exchanged)).toEqual([
      ["Create", "SUCCESS", "up-to-date", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect([physicalIds(created, replacement).size, physicalIds(created, deleted).size]).toEqual([
      2, 1,
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The stack is deleted", async () => {
    await create("second");

    const deleted = await stack.cloudFormation.delete(ID);

    expectEnd(deleted);
    expect(exchanged(deleted)).toEqual([["Delete", "SUCCESS", "skipped", "0"]]);
    expect(logged("connected")).toHaveLength(1);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The stack is deleted when database and secret are gone", async () => {
    await create("first", { anOldProperty: ["of", { another: "format" }] });
    await stack.use("homeless");

    const deleted = await stack.cloudFormation.delete(ID);

    expectEnd(deleted);
    expect(exchanged(deleted)).toEqual([["Delete", "SUCCESS", "skipped", "0"]]);
  });
});

describe("a deployment that fails", () => {
  test("A migration fails when the stack is created", async () => {
    const created = await create("broken");

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.reason).toMatch(/^MIGRATION_FAILED: Migration 0002_broken, /);
    expect(physicalIds(created).size).toBe(1);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("A property is wrong", async () => {
    const created = await create("first", { lockTimeoutMs: "soon" });

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.reason).toMatch(/^REQUEST_INVALID: .*lockTimeoutMs/);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("The function cannot find its database", async () => {
    const created = await create("homeless");

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.reason).toMatch(/^DATABASE_URL_MISSING: /);
  });

  test("The time of the function runs out in a migration", async () => {
    await create("first");
    stack.restoreBeforeRollback("first");

    const updating = update("timed");
    await stack.gate.reached();
    stack.current().leaveOnly(CANCELLING_MS);
    const updated = await updating;

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", "failed", "0"],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(updated.exchanges[0]?.reason).toMatch(/^DEADLINE: .*0002_slow.*statement 2/);
    expect(await written(stack.database)).toEqual(there);
  });

  test("A migration fails in an update; the function has its old code back", async () => {
    const created = await create("first");
    stack.restoreBeforeRollback("first");

    const updated = await update("broken");

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", "failed", "0"],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(updated.exchanges[0]?.reason).toContain(broken.tag);
    expect(physicalIds(created, updated).size).toBe(1);
    expect(await written(stack.database)).toEqual(there);
  });

  test("A migration fails in an update; the function still has the new code", async () => {
    await create("first");

    const updated = await update("broken");

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", "failed", "0"],
      ["Update", "SUCCESS", "skipped", "0"],
    ]);
    expect(Object.keys(stack.cloudFormation.attributes(ID) ?? {})).toHaveLength(7);
    expect(await written(stack.database)).toEqual(there);
  });
});

describe("a deployment that another resource fails", () => {
  test("Another resource fails after the migrations were created", async () => {
    const created = await create("second", {}, { othersFail: true });

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "SUCCESS", "applied", "2"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("Another resource fails after an update; the function has its old code back", async () => {
    await create("first", { ahead: "error" });
    const properties = { ...(await stack.use("second")), ahead: "error" };
    stack.restoreBeforeRollback("first");

    const updated = await stack.cloudFormation.update(ID, properties, { othersFail: true });

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "SUCCESS", "applied", "1"],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(stack.cloudFormation.attributes(ID)).toMatchObject({
      ahead: "true",
      latest: accounts.tag,
    });
    expect(logged("run.finished").at(-1)).toMatchObject({
      report: { drift: { unknown: [{ when: booking.when }] } },
    });
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("Another resource fails after an update; the function still has the new code", async () => {
    await create("first");
    const updated = await update("second", {}, { othersFail: true });

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "SUCCESS", "applied", "1"],
      ["Update", "SUCCESS", "skipped", "0"],
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("Another resource fails while the stack is created, in the middle of a migration", async () => {
    const properties = await stack.use("slow");

    const cancelling = stack.cloudFormation.cancelCreate(ID, properties, stack.gate.reached());
    await waitFor(() => stack.ended.length === 1);
    const undisturbed = await stack.gate.busy();
    await stack.gate.open();
    const cancelled = await cancelling;

    expectEnd(cancelled);
    expect(exchanged(cancelled)).toEqual([
      ["Create", "SUCCESS", "applied", "3"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(cancelled.exchanges[1]?.physicalResourceId).toMatch(/^local-Migrations-[0-9A-F]{12}$/);
    expect([undisturbed, logged("connected").length]).toEqual([true, 1]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToSlow);
  });

  test("Another resource fails during an update; the function has its old code back", async () => {
    await create("first");
    const properties = await stack.use("slow");
    stack.restoreBeforeRollback("first");

    const reached = stack.gate.reached();
    const cancelling = stack.cloudFormation.cancelUpdate(ID, properties, reached);
    await reached;
    await stack.gate.queued();
    await stack.gate.open();
    const cancelled = await cancelling;

    expectEnd(cancelled);
    expect(exchanged(cancelled)).toEqual([
      ["Update", "SUCCESS", "applied", "2"],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(Number(logged("lock.waiting")[0]?.timeoutMs)).toBeGreaterThanOrEqual(900_000);
    expect(await written(stack.database)).toEqual(WRITTEN.upToSlow);
  });

  test("Another resource fails during an update; the function still has the new code", async () => {
    await create("first");
    const properties = await stack.use("slow");

    const cancelling = stack.cloudFormation.cancelUpdate(ID, properties, stack.gate.reached());
    await waitFor(() => stack.ended.length === 2);
    await stack.gate.open();
    const cancelled = await cancelling;

    expectEnd(cancelled);
    expect(exchanged(cancelled)).toEqual([
      ["Update", "SUCCESS", "applied", "2"],
      ["Update", "SUCCESS", "skipped", "0"],
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToSlow);
  });
});

describe("a function whose code is not that of the deployment", () => {
  test("The update comes before the function's new code is in force", async () => {
    await create("first");

    const properties = await stack.useLater("second");
    const updated = await stack.cloudFormation.update(ID, properties);

    expectEnd(updated);
    expect(stack.ended.map(({ payload }) => payload)).toMatchObject([
      { answered: true },
      { errorType: "BUNDLE_STALE", errorMessage: expect.stringMatching(/ again in a minute\.$/) },
      { answered: true },
    ]);
    expect([logged("run.continues").length, logged("run.failed").length]).toEqual([1, 0]);
    expect(exchanged(updated)).toEqual([["Update", "SUCCESS", "applied", "1"]]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The function keeps its old code, and the update names new migrations", async () => {
    await create("first");
    const properties = await stack.use("second");
    await stack.use("first");

    const updated = await stack.cloudFormation.update(ID, properties);

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", "failed", "0"],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(updated.exchanges[0]?.reason).toMatch(/^BUNDLE_STALE: .* deploy again\. .*bundle\.json/);
    expect(updated.exchanges[0]?.reason).toContain("Nothing was run.");
    expect(await written(stack.database)).toEqual(there);
  });

  test("A new stack names other migrations than its function has", async () => {
    const { MigrationsHash } = await stack.use("second");

    const created = await create("first", { MigrationsHash });

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.reason).toMatch(/^BUNDLE_STALE: /);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("a function that Lambda calls only once answers at once that its code is another", async () => {
    await create("first", { ServiceTimeout: 960 });
    const properties = { ...(await stack.use("second")), ServiceTimeout: 960 };
    await stack.use("first");

    const updated = await stack.cloudFormation.update(ID, properties);

    expect(updated.status).toBe("UPDATE_ROLLBACK_COMPLETE");
    expect(stack.ended.map(({ functionError }) => functionError)).toEqual([null, null, null]);
    expect(updated.exchanges[0]?.reason).toMatch(/^BUNDLE_STALE: /);
    expect(await written(stack.database)).toEqual(there);
  });
});

describe("in Express mode", () => {
  beforeEach(() => stack.reset({ express: true }));

  test("A migration fails when the stack is created in Express mode", async () => {
    const created = await create("broken");
    const again = await create("second");

    expectEnd(created);
    expect(exchanged(created)).toEqual([["Create", "FAILED", "failed", "0"]]);
    expect(again.status).toBe("CREATE_COMPLETE");
    expect(exchanged(again)).toEqual([
      ["Create", "SUCCESS", "applied", "2"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("A migration fails in an update in Express mode", async () => {
    await create("first");
    stack.restoreBeforeRollback("first");

    const updated = await update("broken");
    const again = await update("second");

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", "failed", "0"],
      ["Update", "SUCCESS", "skipped", "0"],
    ]);
    expect(again.status).toBe("UPDATE_COMPLETE");
    expect(exchanged(again)).toEqual([["Update", "SUCCESS", "applied", "1"]]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("Another resource fails after an update in Express mode", async () => {
    await create("first");

    const updated = await update("second", {}, { othersFail: true });
    const again = await update("second");

    expectEnd(updated);
    expect([updated, again].map(exchanged)).toEqual([[["Update", "SUCCESS", "applied", "1"]], []]);
    expect(again.status).toBe("UPDATE_COMPLETE");
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });
});

describe("the older migrations", () => {
  test("Older migrations are deployed on purpose", async () => {
    await create("second");

    const updated = await update("first");

    expectEnd(updated);
    expect(exchanged(updated)).toEqual([["Update", "SUCCESS", "up-to-date", "0"]]);
    expect(stack.cloudFormation.attributes(ID)?.ahead).toBe("true");
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("Older migrations are deployed to a new stack, with ahead: error", async () => {
    await create("second");

    const properties = { ...(await stack.use("first")), ahead: "error" };
    const created = await stack.cloudFormation.create("Another", properties);

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.reason).toMatch(/^AHEAD: /);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });
});

test("CDK's Provider framework stands in between", async () => {
  await stack.reset({ serviceToken: FRAMEWORK_ARN });
  stack.askInstead((request, deliver) => answerAsFramework(request, deliver));
  const failed = await create("broken");
  const created = await create("second");
  const deleted = await stack.cloudFormation.delete(ID);

  expectEnd(created);
  expect([failed, created, deleted].map(({ status, problems }) => [status, problems])).toEqual([
    ["ROLLBACK_COMPLETE", []],
    ["CREATE_COMPLETE", []],
    ["DELETE_COMPLETE", []],
  ]);
  expect(failed.exchanges[0]?.reason).toMatch(/^MIGRATION_FAILED: Migration 0002_broken, /);
  // No stack of ours behind it: the framework would not cut it, and CloudFormation takes no more than 4,096 bytes.
  expect(failed.exchanges[0]?.reason).toMatch(/\nLogs: \S+\n$/);
  // The framework answers the Delete of what failed to be created by itself.
  expect([physicalIds(failed), stack.ended.length]).toEqual([new Set([CREATE_FAILED]), 3]);
  expect(exchanged(created)).toEqual([["Create", "SUCCESS", "applied", "2"]]);
  expect([failed, created, deleted].flatMap(putsOf)).toEqual([200, 200, 200, 200]);
  expect(physicalIds(created, deleted).size).toBe(1);
  expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
});

test("behind CDK's Provider framework a call whose answer was lost is made again", async () => {
  await stack.reset({ serviceToken: FRAMEWORK_ARN });
  stack.askInstead((request, deliver) =>
    answerAsFramework(request, async (event) => {
      await deliver(event);
      return await deliver(event);
    }),
  );

  const created = await create("second");

  expect(created).toMatchObject({ status: "CREATE_COMPLETE", problems: [] });
  expect(exchanged(created)).toEqual([["Create", "SUCCESS", "up-to-date", "0"]]);
  expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
});

/** The physical id by which the framework knows what it failed to create. */
const CREATE_FAILED = "AWSCDK::CustomResourceProviderFramework::CREATE_FAILED";

function putsOf({ exchanges }: Operation): readonly number[] {
  return exchanges.flatMap(({ puts }) => puts);
}

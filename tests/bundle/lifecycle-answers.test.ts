import { describe, expect, test } from "vitest";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import type { Exchange } from "../../local/cloudformation/exchange.ts";
import { accounts, booking, broken, slow, WRITTEN, written } from "../setup/bookings.ts";
import type { AuthoredMigration } from "../setup/deployment.ts";
import { expectEnd } from "../setup/lifecycle-table.ts";
import { exchanged, ID, jobOf, testStack } from "../setup/stack.ts";
import { waitFor } from "../setup/wait-for.ts";

/** Its message is longer than an answer may be, in characters that take several bytes of JSON. */
const verbose: AuthoredMigration = {
  tag: "0002_verbose",
  when: 3_000,
  statements: [
    `do $$ begin
      raise exception using errcode = '42000', message = repeat(chr(1) || '"' || chr(2) || chr(3) || '😀', 2000);
    end $$`,
  ],
};

const VERSIONS = {
  first: { migrations: [accounts] },
  second: { migrations: [accounts, booking] },
  broken: { migrations: [accounts, booking, broken] },
  slow: { migrations: [accounts, booking, slow] },
  verbose: { migrations: [accounts, booking, verbose] },
  timed: { migrations: [accounts, booking], movableClock: true },
  slowTimed: { migrations: [accounts, booking, slow], movableClock: true },
} as const;

const stack = testStack(VERSIONS);
const { create, update } = stack;

/** What each answer that was stored says, in order, with its physical id. */
function answers(exchange: Exchange | undefined): readonly unknown[] {
  if (exchange === undefined) return [];
  return stack.cloudFormation
    .answers(exchange.request)
    .map(({ status, data, physicalResourceId }) => [
      status,
      data.status,
      physicalResourceId === exchange.physicalResourceId,
    ]);
}

function reasons(exchange: Exchange | undefined): readonly (string | null)[] {
  if (exchange === undefined) return [];
  return stack.cloudFormation.answers(exchange.request).map(({ reason }) => reason);
}

const FAILED = ["FAILED", "failed", true];
const APPLIED = ["SUCCESS", "applied", true];
const UP_TO_DATE = ["SUCCESS", "up-to-date", true];

describe("deliveries", () => {
  test("The request is delivered twice at once, and once more later", async () => {
    const creating = create("slow", {}, { deliveries: 2 });
    await stack.gate.reached();
    await stack.gate.queued();
    await stack.gate.open();
    const created = await creating;
    const [exchange] = created.exchanges;
    if (exchange !== undefined) await stack.current().deliver(jobOf(exchange.request));

    expectEnd(created);
    expect(exchange?.status).toBe("SUCCESS");
    // Whose turn came second may be heard first.
    expect(answers(exchange).slice(0, 2)).toEqual(expect.arrayContaining([APPLIED, UP_TO_DATE]));
    expect(answers(exchange).slice(2)).toEqual([UP_TO_DATE]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToSlow);
  });

  test("The request is delivered twice, and a migration fails", async () => {
    const created = await create("broken", {}, { deliveries: 2 });

    expectEnd(created);
    const [exchange] = created.exchanges;
    expect(exchange?.reason).toContain(broken.tag);
    expect(answers(exchange)).toEqual([FAILED, FAILED]);
    expect(new Set(reasons(exchange)).size).toBe(1);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test.each([
    ["auto", "3"],
    ["each", "1"],
  ])(
    "The process dies in a migration, and Lambda delivers the request again",
    async (transaction, count) => {
      const properties = { ...(await stack.use("slow")), transaction };
      const creating = stack.cloudFormation.create(ID, properties);
      const backend = await stack.gate.reached();
      await stack.current().kill();
      await stack.gate.reached(backend);
      await stack.gate.open();
      const created = await creating;

      expectEnd(created);
      expect(stack.ended.map(({ functionError }) => functionError)).toEqual(["Unhandled", null]);
      expect(exchanged(created)).toEqual([["Create", "SUCCESS", "applied", count]]);
      expect(await written(stack.database)).toEqual(WRITTEN.upToSlow);
    },
  );

  test("The process dies in every delivery of the request", async () => {
    const creating = create("slow");
    let backend: unknown;
    for (let deliveries = 0; deliveries <= RETRY_ATTEMPTS; deliveries += 1) {
      backend = await stack.gate.reached(backend);
      await stack.current().kill();
    }
    const created = await creating;

    expectEnd(created, ["No answer came."]);
    expect(stack.ended.map(({ functionError }) => functionError)).toEqual([
      ...Array(1 + RETRY_ATTEMPTS).fill("Unhandled"),
      null,
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("The process dies between its commit and its answer", async () => {
    const { bucket } = stack.cloudFormation;
    bucket.breakNext("silence");
    const creating = create("second");
    await waitFor(() => bucket.counts().connections === 1);
    await stack.current().kill();
    const created = await creating;

    expectEnd(created);
    expect(answers(created.exchanges[0])).toEqual([UP_TO_DATE]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The process dies when its answer is stored", async () => {
    const { bucket } = stack.cloudFormation;
    bucket.breakNext("silence-after-storing");
    const creating = create("second");
    await waitFor(() => bucket.counts().stored === 1);
    await stack.current().kill();
    const created = await creating;

    expectEnd(created, ["2 answers were sent."]);
    expect(created.exchanges[0]?.data.status).toBe("applied");
    expect(answers(created.exchanges[0])).toEqual([APPLIED, UP_TO_DATE]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });

  test("The process hangs until Lambda ends it, and the request is delivered again", async () => {
    const { bucket } = stack.cloudFormation;
    bucket.breakNext("silence");
    const creating = create("timed");
    await waitFor(() => bucket.counts().connections === 1);
    stack.current().freeze();
    stack.current().leaveOnly(0);
    const created = await creating;

    expectEnd(created);
    expect(stack.ended.map(({ payload }) => payload)).toMatchObject([
      { errorType: "Sandbox.Timedout" },
      { answered: true },
    ]);
    expect(answers(created.exchanges[0])).toEqual([UP_TO_DATE]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });
});

describe("answers", () => {
  test.each([
    ["The URL for the answer is signed by SigV2", "SigV2"],
    ["The URL for the answer is signed by SigV4", "SigV4"],
  ] as const)("%s", async (_what, signature) => {
    stack.cloudFormation.bucket.signAs({ signature });

    const created = await create("first");
    const updated = await update("second");
    const deleted = await stack.cloudFormation.delete(ID);

    expectEnd(created);
    expect([created, updated, deleted].flatMap(({ exchanges }) => exchanges)).toMatchObject(
      Array(3).fill({ status: "SUCCESS", puts: [200], problems: [] }),
    );
  });

  test("An error's message is longer than an answer may be", async () => {
    const created = await create("verbose");

    expectEnd(created);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", "failed", "0"],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    const { reason, answer } = created.exchanges[0] ?? {};
    expect(reason).toMatch(/^MIGRATION_FAILED: Migration 0002_verbose, /);
    expect(reason).toMatch(/ The report is in the function's log, request [-0-9a-f]+\.$/);
    expect(Buffer.byteLength(answer ?? "")).toBeLessThan(4_096);
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("S3 refuses the answer four times with 503", async () => {
    stack.cloudFormation.bucket.failPuts(4, 503);

    const created = await create("second");

    expectEnd(created);
    expect(created.exchanges[0]?.puts).toEqual([503, 503, 503, 503, 200]);
  });

  test("The connection for the answer is reset", async () => {
    stack.cloudFormation.bucket.breakNext("reset");

    const created = await create("second");

    expectEnd(created);
    expect(stack.cloudFormation.bucket.counts()).toEqual({ connections: 2, stored: 1 });
    expect(answers(created.exchanges[0])).toEqual([APPLIED]);
  });

  test("The answer is stored, and S3's receipt for it is lost", async () => {
    stack.cloudFormation.bucket.breakNext("reset-after-storing");

    const created = await create("second");

    expectEnd(created);
    expect(answers(created.exchanges[0])).toEqual([APPLIED, APPLIED]);
  });

  test("S3 is slow", async () => {
    stack.cloudFormation.bucket.setDelayMs(400);

    const created = await create("second");

    expectEnd(created);
    expect(created.exchanges[0]?.puts).toEqual([200]);
  });

  test("A connection to S3 goes silent", async () => {
    const { bucket } = stack.cloudFormation;
    bucket.breakNext("silence");

    const creating = create("slowTimed");
    await stack.gate.reached();
    // Near the end of the function, though not so near that the run would be cancelled.
    stack.current().leaveOnly(15_000);
    await stack.gate.open();
    await waitFor(() => bucket.counts().connections === 1);
    stack.current().leaveOnly(6_000);
    const created = await creating;

    expectEnd(created);
    expect(answers(created.exchanges[0])).toEqual([APPLIED]);
    expect(stack.ended).toHaveLength(1);
  });

  test("The URL for the answer has expired", async () => {
    stack.cloudFormation.bucket.signAs({ ageMs: 3 * 3_600_000 });

    const created = await create("second");

    expectEnd(created, ["No answer came."]);
    expect(exchanged(created)).toEqual([
      ["Create", "FAILED", undefined, undefined],
      ["Delete", "SUCCESS", "skipped", "0"],
    ]);
    expect(created.exchanges[0]?.puts).toEqual(Array(1 + RETRY_ATTEMPTS).fill(403));
    expect(stack.ended[0]?.payload).toMatchObject({
      errorType: "INTERNAL",
      errorMessage: expect.stringContaining("403"),
    });
    expect(await written(stack.database)).toEqual(WRITTEN.nothing);
  });

  test("There is no way to S3", async () => {
    await create("first");
    const { bucket } = stack.cloudFormation;
    const properties = await stack.use("timed");
    stack.askInstead((request, deliver) => deliver(request));
    stack.restoreBeforeRollback("first");
    bucket.failPuts(Number.POSITIVE_INFINITY, 503);
    const before = bucket.counts().connections;
    const updating = stack.cloudFormation.update(ID, properties);
    await waitFor(() => bucket.counts().connections >= before + 2);
    stack.current().leaveOnly(600);
    await waitFor(() => stack.ended.length === 2);
    bucket.failPuts(0, 503);
    const updated = await updating;

    expectEnd(updated, ["No answer came."]);
    // With time enough it tries eight times.
    expect(updated.exchanges[0]?.puts.length).toBeLessThan(8);
    expect(exchanged(updated)).toEqual([
      ["Update", "FAILED", undefined, undefined],
      ["Update", "SUCCESS", "up-to-date", "0"],
    ]);
    expect(await written(stack.database)).toEqual(WRITTEN.upToBooking);
  });
});

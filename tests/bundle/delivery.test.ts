import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import type { Outcome } from "../../local/lambda/sandbox.ts";
import { accounts, booking, broken, WRITTEN, written } from "../setup/bookings.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { expectReport } from "../setup/report-schema.ts";

let database: TestDatabase;
let deployment: Deployment;

beforeEach(async () => {
  database = await createTestDatabase();
  const environment = await database.functionEnvironment();
  deployment = prepareDeployment(environment);
});

afterEach(async () => {
  await deployment.remove();
  await database.close();
});

/** The report in the message of a failed call. */
function reportIn({ payload }: Outcome): ReturnType<typeof expectReport> {
  const message = String(Reflect.get(Object(payload), "errorMessage"));
  return expectReport(JSON.parse(message.slice(message.indexOf("\n"))));
}

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
      Array(1 + RETRY_ATTEMPTS).fill(["9d1c2f4e", "failed", reports[0]?.error]),
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

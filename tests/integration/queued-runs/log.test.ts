import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { createHandler } from "../../../lib/handler/handler.ts";
import { LOCAL_FUNCTION_ARN } from "../../../local/aws/account.ts";
import { createTestDatabase } from "../../setup/database.ts";
import { type HeldQueue, startHeldQueue } from "../../setup/held-queue.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { recordedEvent } from "../../setup/recorded-events.ts";

let queue: HeldQueue;

beforeEach(async () => {
  const database = await createTestDatabase();
  const relay = await database.startRelay();
  queue = await startHeldQueue({ functionArn: LOCAL_FUNCTION_ARN });
  const place = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
  for (const [name, value] of Object.entries({ ...queue.environment, ...place })) {
    vi.stubEnv(name, value);
  }
  return async () => {
    vi.unstubAllEnvs();
    await queue.stop();
    await database.close();
  };
});

test("the log of a handler of one's own hears all of a queued run, and standard error nothing", async () => {
  const lines: string[] = [];
  const elsewhere = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => elsewhere.mockRestore());
  const handler = createHandler({
    bundle: makeBundle(makeMigration("0000_first", 1_000, "create table one ()")),
    logFor: (requestId) => (event) => lines.push(`${requestId}: ${event}`),
  });
  const call = (event: unknown, awsRequestId: string) =>
    handler(event, {
      ...{ awsRequestId, invokedFunctionArn: LOCAL_FUNCTION_ARN },
      getRemainingTimeInMillis: () => 900_000,
    });

  const begun = await call(recordedEvent("http/function-url-post-async"), "begin");
  const carriedOut = await call(queue.held[0]?.event, "run");
  const again = await call(queue.held[0]?.event, "again");

  expect([begun, carriedOut, again]).toEqual([
    expect.objectContaining({ statusCode: 202 }),
    null,
    null,
  ]);
  expect(lines).toEqual([
    ...["begin: run.finished", "begin: run.queued"],
    ...[
      "run: run.started",
      "run: connected",
      "run: planned",
      "run: migration.applied",
      "run: run.finished",
    ],
    ...["again: run.started", "again: run.not-ours", "again: run.finished"],
  ]);
  expect(elsewhere).not.toHaveBeenCalled();
});

import { expect, inject, onTestFinished, test } from "vitest";
import { startSecrets } from "../../local/aws/secrets.ts";
import { startCloudFormation } from "../../local/cloudformation/cloudformation.ts";
import { startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase } from "../setup/database.ts";

const NAME = "shop/database";
const RIGHTS_APPEAR_AFTER_MS = 10_000;

/** In real time, so that its length says how long such a deployment takes. */
test(`a first deployment whose rights appear after ${RIGHTS_APPEAR_AFTER_MS} ms`, async () => {
  const database = await createTestDatabase();
  const secrets = await startSecrets();
  const { DATABASE_URL: _plain, ...environment } = await database.functionEnvironment();
  const lambda = startLambda({
    handlerDirectory: inject("assetFolder"),
    environment: { ...environment, ...secrets.environment, DATABASE_URL_SECRET: NAME },
  });
  const stack = await startCloudFormation({
    invoke: (event) => lambda.invokeAsync(event, { maximumRetryAttempts: 0 }),
    serviceToken: lambda.functionArn,
  });
  onTestFinished(async () => {
    await Promise.all([stack.stop(), lambda.stop(), secrets.stop()]);
    await database.close();
  });
  secrets.set(NAME, database.url);
  secrets.deny(NAME, { forMs: RIGHTS_APPEAR_AFTER_MS });
  const begun = performance.now();

  const { status, problems } = await stack.create("Migrations");
  const tookS = ((performance.now() - begun) / 1_000).toFixed(1);

  process.stdout.write(`${status} after ${tookS} s, by ${secrets.reads(NAME)} reads.\n`);
  expect([status, problems]).toEqual(["CREATE_COMPLETE", []]);
  expect(Number(tookS)).toBeGreaterThanOrEqual(RIGHTS_APPEAR_AFTER_MS / 1_000);
});

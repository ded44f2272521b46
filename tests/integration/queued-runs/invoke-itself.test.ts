import { expect, onTestFinished, test, vi } from "vitest";
import { silentLog } from "../../../lib/log.ts";
import { invokeItself } from "../../../lib/queued-runs/invoke-itself.ts";
import { parseRequest } from "../../../lib/request.ts";
import { LOCAL_FUNCTION_ARN } from "../../../local/aws/account.ts";
import { startLoopback } from "../../../local/aws/loopback.ts";
import { startLambdaService } from "../../../local/lambda/service.ts";
import { stopClock } from "../../setup/clock.ts";
import { waitFor } from "../../setup/wait-for.ts";

test("Lambda is waited for no longer than leaves time to say so", async () => {
  let calls = 0;
  const silent = await startLoopback(() => {
    calls += 1;
    return Promise.resolve();
  });
  const { environment, stop } = await startLambdaService();
  onTestFinished(async () => {
    await silent.stop();
    await stop();
    vi.unstubAllEnvs();
  });
  const settings = { ...environment, AWS_ENDPOINT_URL_LAMBDA: silent.url };
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  const clock = stopClock();

  const event = { "neon-migrate.run": { id: "1", request: parseRequest({}) } };
  const asking = invokeItself(LOCAL_FUNCTION_ARN, event, {
    until: Date.now() + 600_000,
    log: silentLog,
  });
  const failed = expect(asking).rejects.toMatchObject({
    code: "RUN_NOT_STARTED",
    facts: { retryable: true },
  });
  failed.catch(() => undefined);
  await waitFor(() => calls === 1);
  await clock.advance(5_000);

  await failed;
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  expect,
  inject,
  onTestFinished,
  test,
} from "vitest";
import { type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";
import { type LocalLambdaService, startLambdaService } from "../../local/lambda/service.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { deploySource } from "../setup/local-function.ts";
import { neonMigrate } from "../setup/neon-migrate.ts";
import { expectReport } from "../setup/report-schema.ts";
import { waitFor } from "../setup/wait-for.ts";

/** Ends when there is a file. */
const PATIENT = `
import { existsSync } from "node:fs";
export const handler = async () => {
  while (!existsSync(process.env.GATE)) await new Promise((resolve) => setTimeout(resolve, 20));
  return "done";
};
`;

let database: TestDatabase;
let lambda: LocalLambda;
let streaming: LocalLambda;
let service: LocalLambdaService;

beforeAll(async () => {
  database = await createTestDatabase();
  const environment = await database.functionEnvironment();
  const handlerDirectory = inject("assetFolder");
  lambda = startLambda({ handlerDirectory, environment });
  streaming = startLambda({
    handlerDirectory,
    environment: { ...environment, _HANDLER: "index.stream" },
  });
});

afterAll(async () => {
  await Promise.all([lambda.stop(), streaming.stop()]);
  await database.close();
});

beforeEach(async () => {
  service = await startLambdaService();
  service.deploy(lambda);
});

afterEach(() => service.stop());

function invoke(words: readonly string[], whileRunning?: Parameters<typeof neonMigrate>[2]) {
  const line = ["invoke", "neon-migrations", ...words];
  return neonMigrate(line, service.environment, whileRunning);
}

test("plans and applies as the same commands do on this machine", async () => {
  const planned = await invoke(["--action", "plan", "--exit-code", "--json"]);
  service.deploy(streaming);
  const applied = await invoke(["--transaction", "each", "--tail"]);

  expect(planned.exitCode).toBe(3);
  expect(expectReport(JSON.parse(planned.stdout))).toMatchObject({ status: "planned" });
  expect(applied).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/✓ 0000_\w+ .*\d+ statements?.*Applied \d+ migrations/s),
    stderr: expect.stringMatching(/migrations? pending, .*^✓ 0000_\w+ .*\d+ statements?/ms),
  });
  expect(service.calls.map(({ event }) => event)).toEqual([
    { action: "plan" },
    { action: "up", transaction: "each" },
  ]);
});

test("ends with 1 and prints the report where the run failed", async () => {
  const { exitCode, stdout } = await invoke(["--timeout-ms", "1", "--json"]);

  expect(exitCode).toBe(1);
  const { error } = expectReport(JSON.parse(stdout));
  expect(["DEADLINE", "CONNECT_TIMEOUT"]).toContain(error?.code);
});

test("leaves the function running when it is interrupted, and says so", async () => {
  const folder = mkdtempSync(join(tmpdir(), "invoke-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const gate = join(folder, "open");
  service.deploy(await deploySource(PATIENT, { environment: { GATE: gate } }));

  const { exitCode, stdout } = await invoke(["--json"], async (kill) => {
    await waitFor(() => service.calls.length === 1);
    kill("SIGINT");
  });
  writeFileSync(gate, "");
  const attempts = await service.calls[0]?.attempts;

  expect(exitCode).toBe(130);
  expect(expectReport(JSON.parse(stdout)).error).toMatchObject({
    code: "RUN_UNKNOWN",
    message: expect.stringMatching(/^SIGINT ended the waiting, not the run/),
  });
  expect(attempts).toMatchObject([{ payload: "done", functionError: null }]);
});

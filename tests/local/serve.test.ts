import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { expect, onTestFinished, test } from "vitest";
import { neonMigrateIn } from "../setup/neon-migrate.ts";
import { relayPool } from "../setup/pool.ts";
import { expectReport } from "../setup/report-schema.ts";
import { waitFor } from "../setup/wait-for.ts";

test("npm run local prints what to export, serves it, and ends cleanly on Ctrl-C", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "local/serve-main.ts"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exit = once(child, "exit");
  let output = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  await waitFor(() => output.includes("server.log"));
  const printed = (pattern: RegExp) => pattern.exec(output)?.[1] ?? "";
  const url = printed(/DATABASE_URL=(\S+)/);
  const directory = dirname(printed(/(\S+server\.log)/));
  const pool = relayPool(url, printed(/NEON_WS_PROXY=(\S+)/));
  onTestFinished(() => pool.end());
  const lambda = new LambdaClient({
    endpoint: printed(/AWS_ENDPOINT_URL_LAMBDA=(\S+)/),
    region: printed(/AWS_REGION=(\S+)/),
    credentials: {
      accessKeyId: printed(/AWS_ACCESS_KEY_ID=(\S+)/),
      secretAccessKey: printed(/AWS_SECRET_ACCESS_KEY=(\S+)/),
    },
  });

  const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: "neon-migrations" }));
  const { rows } = await pool.query("select current_user as name, count(*)::int from accounts");
  const variables = Object.fromEntries(
    Array.from(output.matchAll(/export (\w+)=(\S+)/g), ([, name, value]) => [name, value]),
  );
  const [tag] = /(?<=restore --before )\S+/.exec(output) ?? [""];
  const restored = await neonMigrateIn(".", ["restore", "--before", tag], variables);
  const branches = await fetch(
    `${printed(/NEON_API_URL=(\S+)/)}/projects/${printed(/NEON_PROJECT_ID=(\S+)/)}/branches`,
    { headers: { authorization: `Bearer ${printed(/NEON_API_KEY=(\S+)/)}` } },
  );
  const unsigned = await fetch(printed(/(http\S+\/migrations)$/m));
  const before = existsSync(directory);
  child.kill("SIGINT");
  const [code] = await exit;

  expect(expectReport(JSON.parse(Payload?.transformToString() ?? ""))).toMatchObject({
    status: "applied",
    warnings: [],
  });
  expect(rows).toEqual([{ name: "neondb_owner", count: 0 }]);
  expect(restored).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(tag) });
  expect(await branches.json()).toMatchObject({
    branches: expect.arrayContaining([
      expect.objectContaining({ name: "main", default: true }),
      expect.objectContaining({ name: expect.stringContaining(`before-${tag}`) }),
    ]),
  });
  expect(unsigned.status).toBe(403);
  expect([before, existsSync(directory)]).toEqual([true, false]);
  expect(code).toBe(0);
});

test("npm run local leaves nothing behind where it is stopped before it is up", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "local-main-"));
  onTestFinished(() => rmSync(scratch, { recursive: true }));
  const child = spawn(process.execPath, ["--import", "tsx", "local/serve-main.ts"], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: "ignore",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exit = once(child, "exit");
  const made = () => readdirSync(scratch).filter((name) => name.startsWith("neon-"));

  await waitFor(() => made().length > 0);
  child.kill("SIGINT");
  await exit;

  // The guard of the database outlives it.
  await waitFor(() => made().length === 0);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { relayPool } from "../setup/pool.ts";
import { waitFor } from "../setup/wait-for.ts";

test("npm run local prints what to export, serves it, and ends cleanly on Ctrl-C", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "local/main.ts"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
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

  const { rows } = await pool.query("select current_user as name");
  await pool.end();
  const before = existsSync(directory);
  child.kill("SIGINT");
  const [code] = await exit;

  expect(rows).toEqual([{ name: "neondb_owner" }]);
  expect([before, existsSync(directory)]).toEqual([true, false]);
  expect(code).toBe(0);
});

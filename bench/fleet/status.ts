import { spawn } from "node:child_process";
import { once } from "node:events";
import type { LocalFleet } from "../../local/fleet/fleet.ts";

/** Runs `fleet status` in a process of its own, and tells what of it is not the start of the program. */
const PROGRAM = `
const { fleetCommand } = await import(process.argv[1]);
const options = { verb: "status", machine: process.argv[2], wait: true, json: true, quiet: true };
const print = console.log;
console.log = () => undefined;
const started = performance.now();
await fleetCommand(options);
print(performance.now() - started);
process.exit();
`;

/** Measures the status of a fleet with so many tenants in its ledger. @returns ms, the AWS clients' loading included */
export async function statusOfMany(fleet: LocalFleet, tenants: number): Promise<number> {
  const at = new Date().toISOString();
  const lines = Array.from({ length: tenants }, (_, index) =>
    JSON.stringify({
      ...{ id: `tenant-${index}`, hash: "5f".repeat(32), latest: "0010_index_foreign_keys", at },
      fingerprint: "ab".repeat(16),
    }),
  );
  fleet.s3.store.put(fleet.bucket, "ledger.jsonl", `${lines.join("\n")}\n`);
  const command = new URL("../../bin/fleet/command.ts", import.meta.url).href;
  const words = ["--import", "tsx", "--input-type=module", "-e", PROGRAM, command];
  const child = spawn(process.execPath, [...words, fleet.machine.stateMachineArn], {
    env: {
      ...process.env,
      ...fleet.environment,
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (part) => {
    output += part;
  });
  await once(child, "close");
  return Number(output);
}

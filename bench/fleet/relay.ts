import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts a relay in a process of its own: beside the machine it would share its one thread with it. */
export async function startRelayProcess(
  port: number,
): Promise<{ readonly address: string; stop(): void }> {
  const script = fileURLToPath(new URL("../speed/relay-process.ts", import.meta.url));
  const child = fork(script, [String(port)], { execArgv: ["--import", "tsx"] });
  const [address] = await once(child, "message");
  return { address: String(address), stop: () => child.disconnect() };
}

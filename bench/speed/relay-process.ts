import { startRelay } from "../../local/relay/relay.ts";

/** Runs a relay in a process of its own, to count its processor time alone. The process ends with its parent. */
async function main(port: number): Promise<void> {
  const relay = await startRelay({ target: { host: "127.0.0.1", port } });
  process.once("disconnect", () => process.exit());
  process.send?.(relay.address);
}

await main(Number(process.argv[2]));

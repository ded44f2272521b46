import { startRelay } from "../../local/relay/relay.ts";

/** Runs a relay alone in a process, so that its processor time counts alone. It sends its address, and ends with its parent. */
async function main(port: number): Promise<void> {
  const relay = await startRelay({ target: { host: "127.0.0.1", port } });
  process.once("disconnect", () => process.exit());
  process.send?.(relay.address);
}

await main(Number(process.argv[2]));

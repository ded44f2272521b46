import { startRelay } from "../../local/relay/relay.ts";
import { openDelayedPort } from "../delayed-port.ts";

/**
 * Offers two ways to one PostgreSQL: a relay for WebSockets that logs in as Neon's proxy does, and plain TCP for a driver that
 * speaks it. Both have the same round trip, and the same time for a compute that wakes at each connection; neither adds a
 * round trip for TCP or TLS. The process ends with its parent.
 */
async function main(port: number, roundTripMs: number, wakeUpMs: number): Promise<void> {
  const target = { host: "127.0.0.1", port };
  const relay = await startRelay({ target, roundTripMs, wakeUpMs, mode: "neon" });
  const wire = await openDelayedPort(target, wakeUpMs);
  wire.setRoundTripMs(roundTripMs);
  process.once("disconnect", () => process.exit());
  process.send?.({ relay: relay.address, port: wire.port });
}

const [port = 0, roundTripMs = 0, wakeUpMs = 0] = process.argv.slice(2).map(Number);
await main(port, roundTripMs, wakeUpMs);

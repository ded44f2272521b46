import { createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { DelayLine } from "../../local/relay/delay-line.ts";
import { dial } from "../../local/relay/pipe.ts";
import { startRelay } from "../../local/relay/relay.ts";

/**
 * Offers two ways to one PostgreSQL: a relay for WebSockets that logs in as Neon's proxy does, and plain TCP for a driver that
 * speaks it. Both have the same round trip, and the same time for a compute that wakes at each connection; neither adds a
 * round trip for TCP or TLS. The process ends with its parent.
 */
async function main(port: number, roundTripMs: number, wakeUpMs: number): Promise<void> {
  const target = { host: "127.0.0.1", port };
  const relay = await startRelay({ target, roundTripMs, wakeUpMs, mode: "neon" });
  const wire = createServer({ pauseOnConnect: true }, async (client) => {
    await pause(wakeUpMs);
    const server = dial(target);
    client.resume();
    join(client, server, roundTripMs / 2);
    join(server, client, roundTripMs / 2);
  });
  await new Promise<void>((resolve) => wire.listen(0, "127.0.0.1", resolve));
  process.once("disconnect", () => process.exit());
  process.send?.({ relay: relay.address, port: Reflect.get(Object(wire.address()), "port") });
}

/** Hands on what one side sends, after half a round trip, and then its end. */
function join(from: Socket, to: Socket, delayMs: number): void {
  const line = new DelayLine({ delayMs: () => delayMs });
  from.setNoDelay(true);
  from.on("data", (bytes) => line.push(() => to.write(bytes)));
  from.on("end", () => line.push(() => to.end()));
  from.on("error", () => to.destroy());
}

const [port = 0, roundTripMs = 0, wakeUpMs = 0] = process.argv.slice(2).map(Number);
await main(port, roundTripMs, wakeUpMs);

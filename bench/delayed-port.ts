import { connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { DelayLine } from "../local/relay/delay-line.ts";
import type { Address } from "../local/relay/pipe.ts";

/** A TCP port in front of a server, with latency: for programs that speak no WebSocket. */
export interface DelayedPort {
  readonly port: number;
  setRoundTripMs(roundTripMs: number): void;
  stop(): Promise<void>;
}

/**
 * Opens one on loopback.
 * @param wakeUpMs so long each connection waits first, as for a compute that wakes. Default: 0
 */
export async function openDelayedPort({ host, port }: Address, wakeUpMs = 0): Promise<DelayedPort> {
  let roundTripMs = 0;
  const halfTripMs = () => roundTripMs / 2;
  const join = (from: Socket, to: Socket) => {
    const line = new DelayLine({ delayMs: halfTripMs });
    from.on("data", (bytes) => line.push(() => to.write(bytes)));
    from.on("end", () => line.push(() => to.end()));
    from.on("error", () => to.destroy());
  };
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, async (client) => {
    await pause(wakeUpMs);
    const upstream = connect(port, host);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    join(client, upstream);
    join(upstream, client);
    client.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    setRoundTripMs: (ms) => {
      roundTripMs = ms;
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

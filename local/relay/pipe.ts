import { connect, type Socket } from "node:net";
import type { RelayClient } from "./client.ts";

/** A TCP address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Opens a TCP connection. The caller must attach its listeners in the same tick. */
export function dial(address: Address): Socket {
  const server = connect(address.port, address.host);
  server.setNoDelay(true);
  return server;
}

/**
 * Joins a client and a server: bytes pass unchanged in both directions, each side is read only as fast as the other
 * takes the bytes, and the end of one side ends the other.
 */
export function joinPipe(client: RelayClient, server: Socket): void {
  client.deliverTo({
    bytes: (bytes) => {
      if (!server.destroyed && !server.write(bytes)) client.hold(true);
    },
    end: (graceful) => {
      if (!graceful) return server.destroySoon();
      // Only our direction ends. After a full close, the system would answer the server's next byte with a reset,
      // and a reset takes away the bytes that the server has not read yet.
      server.end();
      server.resume();
      server.unref();
    },
    pressure: (full) => {
      if (full) server.pause();
      if (!full) server.resume();
    },
  });
  let broken = false;
  server.on("data", (bytes) => client.send(bytes));
  server.on("drain", () => client.hold(false));
  server.on("end", () => client.end("TCP connection is closed"));
  server.on("error", () => {
    broken = true;
  });
  server.on("close", () => {
    client.hold(false);
    if (broken) client.abort();
  });
}

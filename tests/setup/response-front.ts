import { connect, createServer, type Socket } from "node:net";

/** What happens to a connection: reset at once, reset when the bucket has answered, or left without an answer. */
export type Fault = "reset" | "reset-after-storing" | "silence";

/** What stands between a function and the bucket that it answers to. */
export interface ResponseFront {
  /** The same presigned URL, through here. */
  through(url: string): string;
  /** One fault for each of the next connections; what comes after them gets through. */
  fail(...faults: readonly Fault[]): void;
  /** How many connections were made. */
  connections(): number;
  stop(): Promise<void>;
}

/** Starts it on loopback, in front of the bucket at this port. */
export async function startResponseFront(bucketPort: number): Promise<ResponseFront> {
  const sockets = new Set<Socket>();
  const faults: Fault[] = [];
  let count = 0;
  const server = createServer((client) => {
    count += 1;
    track(sockets, client);
    const fault = faults.shift();
    if (fault === "silence") client.resume();
    else if (fault === "reset") client.resetAndDestroy();
    else track(sockets, forward(client, bucketPort, fault === "reset-after-storing"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    // Not parsed and printed again: that would decode the key and break the signature.
    through: (url) => url.replace(`:${bucketPort}/`, `:${port}/`),
    fail: (...more) => void faults.push(...more),
    connections: () => count,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on("error", () => undefined);
  socket.on("close", () => sockets.delete(socket));
}

function forward(client: Socket, port: number, resets: boolean): Socket {
  const bucket = connect(port, "127.0.0.1");
  client.pipe(bucket);
  if (resets) bucket.once("data", () => client.resetAndDestroy());
  else bucket.pipe(client);
  return bucket;
}

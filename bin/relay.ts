import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";

/** A TCP address. */
interface Address {
  readonly host: string;
  readonly port: number;
}

/** A relay from WebSockets to one PostgreSQL server, in this process. */
export interface Relay {
  /** The relay's address as in `NEON_WS_PROXY`: `host:port/path`. */
  readonly address: string;
  /** Breaks every connection and frees the port. */
  stop(): Promise<void>;
}

/**
 * Starts a relay for a PostgreSQL server that speaks no WebSocket. The relay listens on loopback only, because the
 * password passes through it in clear text.
 */
export async function startRelay(target: Address): Promise<Relay> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, maxPayload: 0, perMessageDeflate: false });
  sockets.on("connection", (client) => join(client, target));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const bound = http.address();
  if (typeof bound !== "object" || bound === null) throw new Error("The relay has no port.");
  return {
    address: `127.0.0.1:${bound.port}/v1`,
    stop: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        for (const client of sockets.clients) client.terminate();
        // A client may have connected without asking for a WebSocket yet.
        http.closeAllConnections();
      }),
  };
}

/** Joins both sides: bytes pass unchanged in both directions, and the end of one side ends the other. */
function join(client: WebSocket, { host, port }: Address): void {
  const server = connect({ host, port, noDelay: true });
  const stream = createWebSocketStream(client);
  server.pipe(stream);
  stream.pipe(server);
  server.on("error", ({ message }) => {
    // The client would see only that a connection has ended, and not why there is none.
    if (server.connecting || server.bytesRead === 0) client.send(refusal(message));
    client.terminate();
  });
  // The server still gets everything that the client has sent.
  stream.on("end", () => server.destroySoon());
  stream.on("error", () => server.destroySoon());
}

/** The SQLSTATE of a client that cannot connect: sqlclient_unable_to_establish_sqlconnection. */
const UNABLE_TO_CONNECT = "08001";

/** Makes PostgreSQL's message ErrorResponse (its documentation, "Message Formats"). */
function refusal(message: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${UNABLE_TO_CONNECT}\0M${message}\0\0`;
  const length = Buffer.alloc(4);
  length.writeInt32BE(Buffer.byteLength(fields) + length.length);
  return Buffer.concat([Buffer.from("E"), length, Buffer.from(fields)]);
}

import { WebSocket } from "ws";

/** One WebSocket to the database, watched from outside: its round trips, and its end. */
export interface Wire {
  /** The constructor to hand to the driver; what it constructs first is the socket of this wire. */
  readonly Socket: new (
    url: string,
  ) => WebSocket;
  /** The upgrade, and each change from receiving to sending after it. TCP's and TLS' own are not seen. */
  roundTrips(): number;
  /** Resolves when PostgreSQL's Terminate message has left the process. */
  readonly goodbyeSent: Promise<void>;
  /** Closes the TCP connection under the socket, without waiting for the other side. */
  terminate(): void;
}

/** Often enough for every idle limit on the way (350 s at AWS' load balancers and NAT gateways). */
const PING_INTERVAL_MS = 30_000;

/**
 * Prepares a wire. `ws` is used on every Node version: the built-in WebSocket hides why a connection
 * failed and cannot ping, and neither end sets TCP keep-alive.
 * @param handshakeTimeoutMs how long TCP, TLS and the upgrade may take together
 */
export function createWire(handshakeTimeoutMs: number): Wire {
  const sockets: WebSocket[] = [];
  let roundTrips = 0;
  let awaiting = false;
  let onGoodbye: () => void = () => undefined;
  const goodbyeSent = new Promise<void>((resolve) => {
    onGoodbye = resolve;
  });

  class Socket extends WebSocket {
    constructor(url: string) {
      super(url, { perMessageDeflate: false, handshakeTimeout: handshakeTimeoutMs });
      sockets.push(this);
      roundTrips += 1;
      this.on("message", () => {
        awaiting = false;
      });
      const ping = setInterval(() => {
        if (this.readyState === WebSocket.OPEN) this.ping();
      }, PING_INTERVAL_MS);
      ping.unref();
      this.on("close", () => clearInterval(ping));
    }

    /** The driver sends data and nothing else: no options, no callback. */
    override send(data: Parameters<WebSocket["send"]>[0]): void {
      if (!awaiting) roundTrips += 1;
      awaiting = true;
      super.send(data, () => {
        if (isGoodbye(data)) onGoodbye();
      });
    }
  }

  return {
    Socket,
    roundTrips: () => roundTrips,
    goodbyeSent,
    terminate: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

/** Terminate is the letter X and its own length, and nothing is sent with it. */
function isGoodbye(data: Parameters<WebSocket["send"]>[0]): boolean {
  if (!(data instanceof ArrayBuffer || ArrayBuffer.isView(data)) || data.byteLength !== 5)
    return false;
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  return bytes[0] === "X".charCodeAt(0);
}

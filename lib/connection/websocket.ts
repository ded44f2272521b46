import WebSocket from "ws";
import { toError } from "../errors.ts";
import { Frames } from "./frames.ts";
import { resumingTls } from "./tls-sessions.ts";

/** One WebSocket to the database, watched from outside: its round trips, and its end. */
export interface Wire {
  /** The constructor to hand to the driver; its first product is the socket of this wire. */
  readonly Socket: new (
    url: string,
  ) => WebSocket;
  /** Counts the upgrade, and each change from receiving to sending after it, but not those of TCP and TLS. */
  roundTrips(): number;
  /** Resolves when so much has left the process that more may follow, or when nothing will any more; null: at once. */
  room(): Promise<void> | null;
  /** Resolves when PostgreSQL's Terminate message has left the process. */
  readonly goodbyeSent: Promise<void>;
  /** Closes the TCP connection under the socket, without waiting for the other side. */
  terminate(): void;
}

/** The interval is short enough for every idle limit on the way (350 s at AWS' load balancers and NAT gateways). */
const PING_INTERVAL_MS = 10_000;

/** So many pings without an answer mean that nobody is there any more. */
const MOST_UNANSWERED = 2;

/**
 * A ping stands behind what was sent before it, and a server at work reads nothing. Behind more bytes than the systems on
 * the way take meanwhile, a ping without an answer means nothing. The answer to a ping tells what was read before it.
 */
const UNREAD_BYTES = 65_536;

/**
 * The size of a frame, one record of TLS: the server begins on the head of a long series while we still write its end.
 */
const FRAME_BYTES = 16_384;

/** So many bytes wait in the process for a slow line. More would only cost memory, and could not be taken back. */
const MOST_WAITING_BYTES = 1_048_576;

/**
 * Prepares a wire. It uses `ws` on every version of Node: the built-in WebSocket hides why a connection failed, and cannot
 * ping. Neither end sets TCP keep-alive. The session limits the time to connect, and ends a socket that is late: a limit of
 * the socket's own would make another error of the same thing.
 * @param onFailure told why, before the socket is closed because the other side is silent, or not to be understood
 */
export function createWire(onFailure: (error: Error) => void): Wire {
  const sockets: Socket[] = [];
  let roundTrips = 0;
  let awaiting = false;
  let onGoodbye: () => void = () => undefined;
  const goodbyeSent = new Promise<void>((resolve) => {
    onGoodbye = resolve;
  });

  class Socket extends WebSocket {
    readonly #frames = new Frames();
    readonly #pending: Uint8Array[] = [];
    #pendingBytes = 0;
    #scheduled: NodeJS.Immediate | undefined;
    #unanswered = 0;
    #sentBytes = 0;
    #readBytes = 0;
    #waiters: (() => void)[] = [];

    constructor(url: string) {
      super(url, { perMessageDeflate: false, ...resumingTls(url) });
      sockets.push(this);
      roundTrips += 1;
      this.on("message", () => {
        awaiting = false;
        this.#unanswered = 0;
      });
      this.on("pong", (data) => {
        this.#unanswered = 0;
        this.#readBytes = Number(data.toString());
      });
      const ping = setInterval(() => this.#askForLife(), PING_INTERVAL_MS);
      ping.unref();
      this.on("close", () => {
        clearInterval(ping);
        this.#makeRoom();
      });
    }

    room(): Promise<void> | null {
      const isFull = this.bufferedAmount + this.#pendingBytes > MOST_WAITING_BYTES;
      if (!isFull || this.readyState !== WebSocket.OPEN) return null;
      return new Promise((resolve) => this.#waiters.push(resolve));
    }

    #makeRoom(): void {
      const waiters = this.#waiters.splice(0);
      // What follows is the rest of one sending, whatever has been answered meanwhile.
      if (waiters.length > 0) awaiting = true;
      for (const resolve of waiters) resolve();
    }

    #askForLife(): void {
      if (this.readyState !== WebSocket.OPEN) return;
      if (
        this.#unanswered >= MOST_UNANSWERED &&
        this.#sentBytes - this.#readBytes <= UNREAD_BYTES
      ) {
        onFailure(new Error(`the other side has not answered ${MOST_UNANSWERED} pings`));
        this.terminate();
        return;
      }
      this.#unanswered += 1;
      this.ping(String(this.#sentBytes));
    }

    /** The driver reads a message in here. Nobody else would hear of one that it cannot read. */
    override emit(event: string | symbol, ...args: unknown[]): boolean {
      try {
        // An ArrayBuffer or a Buffer, as the driver asks for it.
        if (event === "message") this.#frames.take(Buffer.from(Object(args[0])));
        return super.emit(event, ...args);
      } catch (thrown) {
        if (event !== "message") throw thrown;
        const cause = toError(thrown);
        onFailure(new Error(`a message cannot be read: ${cause.message}`, { cause }));
        this.terminate();
        return true;
      }
    }

    /**
     * Collects the messages that the driver writes in one go, each by itself and a few bytes long. The driver's own
     * `coalesceWrites` copies everything that waits for each message that it adds: for 5,000 statements that takes seconds.
     */
    override send(message: Uint8Array): void {
      if (!awaiting) roundTrips += 1;
      awaiting = true;
      this.#sentBytes += message.byteLength;
      // Relays hand a frame on when it is complete: a small message must not wait on the way for a large one behind it.
      if (this.#pendingBytes + message.byteLength > FRAME_BYTES) this.#flush();
      this.#pending.push(message);
      this.#pendingBytes += message.byteLength;
      if (this.#pendingBytes >= FRAME_BYTES) this.#flush();
      else this.#scheduled ??= setImmediate(() => this.#flush());
    }

    override close(): void {
      if (this.readyState === WebSocket.OPEN) this.#flush();
      super.close();
    }

    #flush(): void {
      clearImmediate(this.#scheduled);
      this.#scheduled = undefined;
      const messages = this.#pending.splice(0);
      this.#pendingBytes = 0;
      const last = messages.at(-1);
      if (last === undefined) return;
      super.send(Buffer.concat(messages), () => {
        if (isGoodbye(last)) onGoodbye();
        if (this.bufferedAmount <= MOST_WAITING_BYTES / 2) this.#makeRoom();
      });
    }
  }

  return {
    Socket,
    roundTrips: () => roundTrips,
    room: () => sockets.at(-1)?.room() ?? null,
    goodbyeSent,
    terminate: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

/** Terminate is the letter X and its own length. */
function isGoodbye(message: Uint8Array): boolean {
  return message.byteLength === 5 && message[0] === "X".charCodeAt(0);
}

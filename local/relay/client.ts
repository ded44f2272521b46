import type { RawData, WebSocket } from "ws";
import { DelayLine } from "./delay-line.ts";
import { type TrafficCounter, Turn } from "./traffic.ts";

/** The place where a connection breaks: behind so many bytes in one direction, which still arrive. */
export interface Cut {
  readonly direction: "toServer" | "toClient";
  readonly bytes: number;
  /** Whether the connection stays open, and what comes behind these bytes is swallowed. Default: false. */
  readonly staysOpen?: boolean;
}

/** The latency, the counters and the faults between one client and the relay. */
export interface WayOptions {
  readonly traffic: TrafficCounter;
  readonly cut: Cut | null;
  readonly refuseText: boolean;
  halfTripMs(): number;
  /** The width of the wire, the same in each direction. */
  bitsPerSecond(): number;
  silent(): boolean;
  /** Whether answers wait until the server has answered everything. */
  holding(): boolean;
}

/** The receiver of a client's bytes. */
export interface Receiver {
  bytes(bytes: Buffer): void;
  /**
   * The client said goodbye, or is gone. Called once.
   * @param graceful whether the server must still get all bytes that were sent to it
   */
  end(graceful: boolean): void;
  /** Says whether the client reads more slowly than we send. */
  pressure(full: boolean): void;
}

/** The limit of a client's buffer. A longer one holds the server back. */
const HIGH_WATER_BYTES = 1_048_576;
/** So long a queue stands in front of a narrow wire, in ms. More is left to the client's system, as a network leaves it. */
const MOST_BACKLOG_MS = 500;
/** The close code for a kind of message that the endpoint cannot accept (RFC 6455, 7.4.1). */
const UNSUPPORTED_MESSAGE = 1003;

const NOBODY: Receiver = {
  bytes: () => undefined,
  end: () => undefined,
  pressure: () => undefined,
};

/** The WebSocket of one client, with the latency, the counters and the faults of the way to it. */
export class RelayClient {
  readonly #socket: WebSocket;
  readonly #way: WayOptions;
  readonly #toServer: DelayLine;
  readonly #toClient: DelayLine;
  readonly #turn = new Turn();
  readonly #answers: Buffer[] = [];
  readonly #remaining: { toServer: number; toClient: number };
  #receiver: Receiver = NOBODY;
  /** Whether the server takes no more. */
  #held = false;
  #full = false;
  #ended = false;
  #swallows = false;

  constructor(socket: WebSocket, way: WayOptions) {
    this.#socket = socket;
    this.#way = way;
    const conditions = { delayMs: way.halfTripMs, bitsPerSecond: way.bitsPerSecond };
    this.#toServer = new DelayLine(conditions);
    this.#toClient = new DelayLine(conditions);
    const endless = Number.POSITIVE_INFINITY;
    this.#remaining = { toServer: endless, toClient: endless };
    if (way.cut !== null) this.#remaining[way.cut.direction] = way.cut.bytes;
    socket.on("message", (message, binary) => this.#message(message, binary));
    socket.on("close", () => {
      if (!this.#swallows) this.#toServer.push(() => this.#end(false));
    });
    // "close" follows, and its listener does the rest.
    socket.on("error", () => undefined);
  }

  /** The number of pieces on their way to the client. */
  get underWay(): number {
    return this.#toClient.underWay;
  }

  /** Gives the client's bytes to this receiver from here on. */
  deliverTo(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  send(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#answers.push(bytes);
    const handsOver = this.#turn.handsOver(bytes);
    if (handsOver || !this.#way.holding()) this.#release(handsOver);
  }

  #release(handsOver: boolean): void {
    const bytes = Buffer.concat(this.#answers.splice(0));
    if (bytes.length > 0) this.#toClient.push(() => this.#emit(bytes, handsOver), bytes.length);
    this.#feel();
  }

  /** Closes with code 1000 once all sent bytes have arrived. */
  end(reason: string): void {
    this.#release(true);
    this.#toClient.push(() => {
      if (!this.#way.silent() && !this.#swallows) this.#socket.close(1000, reason);
    });
  }

  /**
   * Breaks the connection without a close frame: the client sees code 1006.
   * @param graceful whether the server still gets all bytes that were sent to it. Default: false
   */
  abort(graceful = false): void {
    this.#toServer.clear();
    this.#toClient.clear();
    this.#end(graceful);
    this.#socket.terminate();
  }

  /** From here on nothing passes in either direction, pings and goodbyes included, and nothing is closed. */
  swallow(): void {
    this.#swallows = true;
    this.#socket.pause();
  }

  /** Stops or resumes reading from the client. */
  hold(held: boolean): void {
    this.#held = held;
    this.#read();
  }

  /** Reads as fast as the server and the wire take it. */
  #read(): void {
    const isFull = this.#toServer.backlogMs > MOST_BACKLOG_MS;
    if (this.#held || isFull) this.#socket.pause();
    else if (!this.#swallows) this.#socket.resume();
  }

  #end(graceful: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#receiver.end(graceful);
  }

  #message(message: RawData, binary: boolean): void {
    if (!binary && this.#way.refuseText) {
      this.#socket.close(UNSUPPORTED_MESSAGE, "Text frames are not accepted.");
      return;
    }
    const bytes = toBuffer(message);
    this.#way.traffic.sent(bytes.length);
    this.#toServer.push(() => this.#arrive(bytes), bytes.length);
    this.#read();
  }

  #arrive(bytes: Buffer): void {
    const deaf = this.#swallows || this.#way.silent();
    if (this.#ended || deaf || this.#remaining.toServer === 0) return;
    const passing = bytes.subarray(0, this.#remaining.toServer);
    this.#remaining.toServer -= passing.length;
    this.#receiver.bytes(passing);
    this.#read();
    if (this.#remaining.toServer === 0 && this.#way.cut?.staysOpen !== true) this.abort(true);
  }

  #emit(bytes: Buffer, handsOver: boolean): void {
    const isLost = this.#swallows || this.#way.silent();
    if (this.#ended || isLost || this.#remaining.toClient === 0) return;
    const passing = bytes.subarray(0, this.#remaining.toClient);
    this.#remaining.toClient -= passing.length;
    this.#way.traffic.received(passing.length, handsOver);
    this.#socket.send(passing, { binary: true }, () => this.#written());
    this.#feel();
  }

  #written(): void {
    if (this.#remaining.toClient === 0) this.abort();
    this.#feel();
  }

  #feel(): void {
    const full =
      this.#socket.bufferedAmount > HIGH_WATER_BYTES || this.#toClient.backlogMs > MOST_BACKLOG_MS;
    if (full === this.#full) return;
    this.#full = full;
    this.#receiver.pressure(full);
  }
}

function toBuffer(message: RawData): Buffer {
  if (Buffer.isBuffer(message)) return message;
  return Array.isArray(message) ? Buffer.concat(message) : Buffer.from(message);
}

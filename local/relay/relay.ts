/*
 * A relay from WebSockets to PostgreSQL over TCP, as in front of a Neon database. Connections come in, and go on to the
 * server with latency, counters and faults on command. In Neon mode it logs in as Neon's proxy does. It never changes a
 * byte behind the login, and it listens on loopback only.
 */

import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type Cut, RelayClient } from "./client.ts";
import { type ProxyWords, proxyError } from "./messages.ts";
import { joinNeon, type KeyRing } from "./neon.ts";
import { type Address, dial, joinPipe } from "./pipe.ts";
import { type RelayStats, TrafficCounter, totalTraffic } from "./traffic.ts";

/** The settings of a relay. */
export interface RelayOptions {
  /** The PostgreSQL for every connection that names no other allowed one. */
  readonly target: Address;
  /**
   * Finds the server for the host that a client asks for; null for a host that nobody has. A client that names none gets
   * `target`. Default: `target` for all. Neon mode only.
   */
  readonly route?: (host: string) => Address | null;
  /** Further servers that a client may name (`?address=host:port`). Default: none. Plain mode only. */
  readonly allow?: readonly Address[];
  /**
   * `plain` passes bytes, as Neon's open-source `wsproxy` does. `neon` logs in as Neon's own proxy does:
   * cleartext password, most startup parameters dropped, errors of the login without SQLSTATE. Default: `plain`.
   */
  readonly mode?: "plain" | "neon";
  /** A fixed port. Default: a free one. */
  readonly port?: number;
  /** Latency to add, half of it each way. Default: 0. */
  readonly roundTripMs?: number;
  /** The width of the wire, in each direction of each connection. What TCP, TLS and WebSockets add does not count. Default: no limit. */
  readonly bitsPerSecond?: number;
  /** How long the compute takes to wake at each login. Default: 0. Neon mode only. */
  readonly wakeUpMs?: number;
}

/** A running relay from WebSocket to TCP, on loopback. */
export interface Relay {
  readonly port: number;
  /** The value for `NEON_WS_PROXY`: `host:port/path`. */
  readonly address: string;
  stats(): RelayStats;
  /** Sets every counter to zero. Open connections go on, and count from zero. */
  resetStats(): void;
  setRoundTripMs(roundTripMs: number): void;
  /** @param bitsPerSecond `Infinity` for no limit */
  setBitsPerSecond(bitsPerSecond: number): void;
  /** Counts the pieces on their way to clients: the server has sent them, and the latency holds them back. */
  underWay(): number;
  /** Breaks every open connection, without a close frame to the client (1006). */
  cutAll(): void;
  /** Breaks the next connection once so many bytes have passed in one direction. Each call breaks one more. */
  cutAfterBytes(cut: Cut): void;
  /** Forwards nothing more, in either direction, and closes nothing; `false` stops that. */
  silence(silent?: boolean): void;
  /**
   * The network swallows whatever the connections that are open now still send, pings and goodbyes included, and no socket
   * is closed. New connections pass.
   */
  swallow(): void;
  /**
   * Delivers no answer before the server has answered everything that it was asked. A client that waits for an answer
   * in the middle waits for ever. `false` stops that.
   */
  holdAnswers(held?: boolean): void;
  /** Answers every upgrade with this HTTP status; null accepts again. */
  refuse(status: number | null): void;
  /** Leaves new upgrades unanswered until the returned function is called. */
  pauseNewConnections(): () => void;
  /** Fails every login with this text of Neon's proxy; null lets them pass. Neon mode only. */
  failLogins(words: string | ProxyWords | null): void;
  /**
   * Tells every open connection this, and closes it. What the server says later goes nowhere. It must not be in the middle
   * of a message.
   */
  endAll(words: ProxyWords): void;
  /** Breaks every connection and frees the port. */
  stop(): Promise<void>;
}

/** What Neon's proxy says to a host that is nobody's. */
const UNKNOWN_ENDPOINT: ProxyWords = {
  text: "Control plane request failed: endpoint cannot be found",
};

/** The conditions that can change while the relay runs. */
interface Conditions {
  roundTripMs: number;
  bitsPerSecond: number;
  silent: boolean;
  holding: boolean;
  refusal: number | null;
  loginFailure: ProxyWords | null;
  gate: Promise<void> | null;
  readonly cuts: Cut[];
}

/** The state of one relay. */
interface State {
  readonly options: RelayOptions;
  readonly conditions: Conditions;
  readonly keys: KeyRing;
  readonly open: Map<RelayClient, TrafficCounter>;
  /** The counters of the connections since the last reset, closed ones included. */
  counters: TrafficCounter[];
  opened: number;
}

/** Starts a relay. It listens on loopback only, because the password passes through it in clear text. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const state = createState(options);
  const upgrader = new WebSocketServer({ noServer: true, maxPayload: 0, perMessageDeflate: false });
  const sockets = new Set<Duplex>();
  const server = createServer((_request, response) => response.writeHead(426).end());
  server.on("upgrade", (request, socket, head) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A client that leaves before its answer needs none.
    socket.on("error", () => undefined);
    const upgraded = (address: Address | null) =>
      upgrader.handleUpgrade(request, socket, head, (client) => serve(state, client, address));
    admit(state, request).then(
      (admission) => {
        if ("address" in admission) upgraded(admission.address);
        else answer(socket, admission.status, admission.text);
      },
      () => socket.destroy(),
    );
  });
  const port = await listen(server, options.port ?? 0);
  const stop = () =>
    new Promise<void>((resolve) => {
      for (const client of state.open.keys()) client.abort();
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return controls(state, port, stop);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const bound = server.address();
      if (typeof bound === "object" && bound !== null) resolve(bound.port);
    });
  });
}

function createState(options: RelayOptions): State {
  const { roundTripMs = 0, bitsPerSecond = Infinity } = options;
  return {
    options,
    conditions: {
      roundTripMs,
      bitsPerSecond,
      silent: false,
      holding: false,
      refusal: null,
      loginFailure: null,
      gate: null,
      cuts: [],
    },
    keys: new Map(),
    open: new Map(),
    counters: [],
    opened: 0,
  };
}

function controls(state: State, port: number, stop: () => Promise<void>): Relay {
  const { conditions } = state;
  return {
    port,
    address: `127.0.0.1:${port}/v1`,
    stats: () =>
      totalTraffic(
        state.counters.map((counter) => counter.read()),
        state.opened,
      ),
    resetStats: () => {
      state.counters = [...state.open.values()];
      for (const counter of state.counters) counter.reset();
      state.opened = 0;
    },
    setRoundTripMs: (roundTripMs) => {
      conditions.roundTripMs = roundTripMs;
    },
    setBitsPerSecond: (bitsPerSecond) => {
      conditions.bitsPerSecond = bitsPerSecond;
    },
    underWay: () => [...state.open.keys()].reduce((pieces, client) => pieces + client.underWay, 0),
    cutAll: () => {
      for (const client of state.open.keys()) client.abort();
    },
    cutAfterBytes: (cut) => {
      conditions.cuts.push(cut);
    },
    silence: (silent = true) => {
      conditions.silent = silent;
    },
    swallow: () => {
      for (const client of state.open.keys()) client.swallow();
    },
    holdAnswers: (held = true) => {
      conditions.holding = held;
    },
    refuse: (status) => {
      conditions.refusal = status;
    },
    pauseNewConnections: () => pauseNew(conditions),
    failLogins: (words) => {
      conditions.loginFailure = typeof words === "string" ? { text: words } : words;
    },
    endAll: (words) => {
      for (const client of state.open.keys()) {
        client.send(proxyError(words));
        client.end(words.text);
      }
    },
    stop,
  };
}

function pauseNew(conditions: Conditions): () => void {
  let open = (): void => undefined;
  conditions.gate = new Promise((resolve) => {
    open = resolve;
  });
  return () => {
    conditions.gate = null;
    open();
  };
}

type Admission =
  | { readonly address: Address | null }
  | { readonly status: number; readonly text: string };

/** Decides about an upgrade: it costs a round trip, may have to wait, and may be refused. */
async function admit(state: State, request: IncomingMessage): Promise<Admission> {
  const { conditions, options } = state;
  await conditions.gate;
  if (conditions.roundTripMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, conditions.roundTripMs));
  }
  if (conditions.refusal !== null) return { status: conditions.refusal, text: "refused" };
  const named = new URL(request.url ?? "/", "http://relay").searchParams.get("address");
  // Neon's proxy finds its target by the host's name, and ignores the port.
  if (options.mode === "neon") return { address: routed(options, named) };
  if (named === null) return { address: options.target };
  const allowed = [options.target, ...(options.allow ?? [])];
  const address = allowed.find(({ host, port }) => named === `${host}:${port}`);
  if (address !== undefined) return { address };
  return { status: 400, text: "proxying to specified address not allowed" };
}

function routed({ route, target }: RelayOptions, named: string | null): Address | null {
  return route === undefined || named === null ? target : route(named.replace(/:\d+$/, ""));
}

function answer(socket: Duplex, status: number, text: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}\r\nconnection: close\r\n` +
      `content-type: text/plain\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

function serve(state: State, socket: WebSocket, address: Address | null): void {
  const { conditions, options } = state;
  const traffic = new TrafficCounter();
  const client = new RelayClient(socket, {
    traffic,
    cut: conditions.cuts.shift() ?? null,
    refuseText: options.mode === "neon",
    halfTripMs: () => conditions.roundTripMs / 2,
    bitsPerSecond: () => conditions.bitsPerSecond,
    silent: () => conditions.silent,
    holding: () => conditions.holding,
  });
  state.counters.push(traffic);
  state.opened += 1;
  state.open.set(client, traffic);
  socket.on("close", () => state.open.delete(client));
  if (options.mode !== "neon") {
    joinPipe(client, dial(address ?? options.target));
    return;
  }
  void joinNeon(client, {
    address: address ?? options.target,
    keys: state.keys,
    wakeUpMs: options.wakeUpMs ?? 0,
    failure: () => (address === null ? UNKNOWN_ENDPOINT : conditions.loginFailure),
  });
}

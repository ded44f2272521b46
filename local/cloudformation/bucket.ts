import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { type AccessKey, presign, refusalOf, type Signature } from "./presigned-url.ts";

/** One attempt to store an answer. */
export interface Put {
  /** The HTTP status of S3's answer. */
  readonly status: number;
  readonly body: string;
}

/**
 * The fault of a connection: reset as soon as it is made, or never answered; or the same after its answer to
 * CloudFormation was stored.
 */
export type Fault = "reset" | "silence" | "reset-after-storing" | "silence-after-storing";

/** The settings for URLs. */
export interface UrlOptions {
  /** The kind of signature. Default: that of the URLs before. */
  readonly signature?: Signature;
  /** The age of the next URL's signature, which is valid for two hours. Default: 0. */
  readonly ageMs?: number;
}

/** A stand-in for the S3 bucket that CloudFormation lets custom resources answer to. */
export interface ResponseBucket {
  /** Makes a presigned URL for one answer. */
  presign(key: string): string;
  /** Changes the settings for URLs. Default: signed by `SigV4`, and new. */
  signAs(options: UrlOptions): void;
  /** Returns every attempt for this key in the order of arrival, refused ones included. */
  puts(key: string): readonly Put[];
  /** Waits for the first answer that is stored under this key. */
  stored(key: string): Promise<string>;
  /** Answers the next PUTs with this status (500 or 503) and stores nothing. */
  failPuts(count: number, status: number): void;
  /** Breaks the next connections, one fault for each. Later connections get through. */
  breakNext(...faults: readonly Fault[]): void;
  /** Delays every answer by so many ms. Default: 0. */
  setDelayMs(delayMs: number): void;
  /** Counts the connections so far, and those of them that stored an answer. */
  counts(): { readonly connections: number; readonly stored: number };
  stop(): Promise<void>;
}

/** The answer to a refused request. */
interface Refusal {
  readonly status: number;
  readonly code: string;
}

interface State {
  readonly key: AccessKey;
  readonly attempts: Map<string, Put[]>;
  readonly waiting: Map<string, (body: string) => void>;
  readonly faults: Fault[];
  readonly broken: WeakMap<Socket, Fault>;
  failures: { count: number; status: number };
  urls: Required<UrlOptions>;
  delayMs: number;
  readonly counts: { connections: number; stored: number };
}

const BUCKET = "/cloudformation-custom-resource-response-local/";

/** Starts the bucket on loopback. */
export async function startBucket(): Promise<ResponseBucket> {
  const state: State = {
    key: { id: "AKIALOCAL", secret: randomBytes(20).toString("hex") },
    attempts: new Map(),
    waiting: new Map(),
    faults: [],
    broken: new WeakMap(),
    failures: { count: 0, status: 503 },
    urls: { signature: "SigV4", ageMs: 0 },
    delayMs: 0,
    counts: { connections: 0, stored: 0 },
  };
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy());
  });
  server.on("connection", (socket) => accept(state, socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    ...controlsOf(state),
    presign: (key) => {
      const { signature, ageMs } = state.urls;
      state.urls = { signature, ageMs: 0 };
      const signedAt = new Date(Date.now() - ageMs);
      const host = `127.0.0.1:${port}`;
      return presign(state.key, signature, { host, resource: resourceOf(key), signedAt });
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function controlsOf(state: State): Omit<ResponseBucket, "presign" | "stop"> {
  return {
    signAs: (options) => {
      state.urls = { ...state.urls, ...options };
    },
    puts: (key) => state.attempts.get(resourceOf(key)) ?? [],
    stored: (key) =>
      new Promise((resolve) => {
        state.waiting.set(resourceOf(key), resolve);
      }),
    failPuts: (count, status) => {
      state.failures = { count, status };
    },
    breakNext: (...faults) => void state.faults.push(...faults),
    setDelayMs: (delayMs) => {
      state.delayMs = delayMs;
    },
    counts: () => ({ ...state.counts }),
  };
}

/** Returns the path of a key. The key holds an ARN and bars, percent-encoded: decoding the URL breaks the signature. */
function resourceOf(key: string): string {
  return BUCKET + key.split("/").map(encodeURIComponent).join("/");
}

/** Finds the resource that a path means, even if the path was decoded on the way and will be refused. */
function meantResource(path: string): string {
  return path.includes("%") ? path : resourceOf(path.slice(BUCKET.length));
}

function accept(state: State, socket: Socket): void {
  state.counts.connections += 1;
  const fault = state.faults.shift();
  if (fault === "reset") socket.resetAndDestroy();
  else if (fault !== undefined) state.broken.set(socket, fault);
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await text(request);
  const fault = state.broken.get(request.socket);
  if (fault === "silence") return;
  await pause(state.delayMs);
  const resource = request.url?.split("?")[0] ?? "";
  const refusal = refuse(state, request);
  const status = refusal?.status ?? 200;
  const key = meantResource(resource);
  state.attempts.set(key, [...(state.attempts.get(key) ?? []), { status, body }]);
  if (refusal === null) {
    state.counts.stored += 1;
    state.waiting.get(resource)?.(body);
  }
  if (fault === "silence-after-storing") return;
  if (fault === "reset-after-storing") {
    request.socket.resetAndDestroy();
    return;
  }
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(refusal === null ? "" : `<Error><Code>${refusal.code}</Code></Error>`);
}

function refuse(state: State, request: IncomingMessage): Refusal | null {
  const { headers } = request;
  const code = refusalOf(state.key, request);
  if (code !== null) return { status: 403, code };
  if (headers["transfer-encoding"] !== undefined) return { status: 501, code: "NotImplemented" };
  if (headers["content-length"] === undefined) return { status: 411, code: "MissingContentLength" };
  if (state.failures.count === 0) return null;
  state.failures.count -= 1;
  return { status: state.failures.status, code: "SlowDown" };
}

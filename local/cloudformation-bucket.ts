import { createHmac, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

/** One attempt to store an answer. */
export interface Put {
  /** What S3 answered. */
  readonly status: number;
  readonly body: string;
}

/** A stand-in for the S3 bucket that CloudFormation lets custom resources answer to. */
export interface ResponseBucket {
  /** A presigned URL for one answer. */
  presign(key: string): string;
  /** Every attempt for this key, refused ones included, in the order in which they came. */
  puts(key: string): readonly Put[];
  /** The first answer that was stored under this key. */
  stored(key: string): Promise<string>;
  /** Answers the next PUTs with this status (500 or 503) and stores nothing. */
  failPuts(count: number, status: number): void;
  stop(): Promise<void>;
}

/** What a request is refused with. */
interface Refusal {
  readonly status: number;
  readonly code: string;
}

interface State {
  readonly secret: string;
  readonly attempts: Map<string, Put[]>;
  readonly waiting: Map<string, (body: string) => void>;
  failures: { count: number; status: number };
}

/** As seen in real events: two hours. */
const VALIDITY_S = 7_200;
const BUCKET = "/cloudformation-custom-resource-response-local/";
const ACCESS_KEY = "AKIALOCAL";

/** Starts the bucket on loopback. */
export async function startBucket(): Promise<ResponseBucket> {
  const state: State = {
    secret: randomBytes(20).toString("hex"),
    attempts: new Map(),
    waiting: new Map(),
    failures: { count: 0, status: 503 },
  };
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    presign: (key) => {
      const resource = resourceOf(key);
      const expires = Math.floor(Date.now() / 1_000) + VALIDITY_S;
      const signature = sign(state.secret, ["PUT", "", "", String(expires), resource]);
      const query = new URLSearchParams({ AWSAccessKeyId: ACCESS_KEY, Expires: String(expires) });
      return `http://127.0.0.1:${port}${resource}?${query}&Signature=${encodeURIComponent(signature)}`;
    },
    puts: (key) => state.attempts.get(resourceOf(key)) ?? [],
    stored: (key) =>
      new Promise((resolve) => {
        state.waiting.set(resourceOf(key), resolve);
      }),
    failPuts: (count, status) => {
      state.failures = { count, status };
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** CloudFormation's keys hold an ARN and a bar, percent-encoded: who decodes the URL breaks the signature. */
function resourceOf(key: string): string {
  return BUCKET + encodeURIComponent(key);
}

/** Which answer a path means, also where it was decoded on the way and is going to be refused. */
function meantResource(path: string): string {
  return path.includes("%") ? path : resourceOf(path.slice(BUCKET.length));
}

/** AWS signature version 2, as S3's query string authentication used it. */
function sign(secret: string, parts: readonly string[]): string {
  return createHmac("sha1", secret).update(parts.join("\n")).digest("base64");
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await text(request);
  const resource = request.url?.split("?")[0] ?? "";
  const refusal = refuse(state, request, resource);
  const status = refusal?.status ?? 200;
  const key = meantResource(resource);
  state.attempts.set(key, [...(state.attempts.get(key) ?? []), { status, body }]);
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(refusal === null ? "" : `<Error><Code>${refusal.code}</Code></Error>`);
  if (refusal === null) state.waiting.get(resource)?.(body);
}

function refuse(state: State, request: IncomingMessage, resource: string): Refusal | null {
  const { headers, method = "" } = request;
  const query = new URL(request.url ?? "/", "http://bucket").searchParams;
  const expires = query.get("Expires") ?? "";
  const signed = [method, header(headers, "content-md5"), header(headers, "content-type"), expires];
  const expected = sign(state.secret, [...signed, ...amzHeaders(headers), resource]);
  if (query.get("Signature") !== expected) return { status: 403, code: "SignatureDoesNotMatch" };
  if (Number(expires) * 1_000 < Date.now()) return { status: 403, code: "AccessDenied" };
  if (headers["transfer-encoding"] !== undefined) return { status: 501, code: "NotImplemented" };
  if (headers["content-length"] === undefined) return { status: 411, code: "MissingContentLength" };
  if (state.failures.count === 0) return null;
  state.failures.count -= 1;
  return { status: state.failures.status, code: "SlowDown" };
}

function header(headers: IncomingMessage["headers"], name: string): string {
  return String(headers[name] ?? "");
}

function amzHeaders(headers: IncomingMessage["headers"]): readonly string[] {
  const names = Object.keys(headers).filter((name) => name.startsWith("x-amz-"));
  return names.sort().map((name) => `${name}:${header(headers, name)}`);
}

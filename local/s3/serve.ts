import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type SignatureProblem, signatureProblem } from "../aws/signature.ts";
import { S3Error } from "./errors.ts";
import type { Faults, S3Call } from "./faults.ts";
import { type Answer, OPERATIONS, operationOf, type S3Request } from "./operations.ts";
import type { ObjectStore } from "./store.ts";

interface State {
  readonly store: ObjectStore;
  readonly calls: S3Call[];
  readonly faults: Faults;
}

/** Answers one request. */
export async function serve(
  { store, calls, faults }: State,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const request = requestOf(message, await buffer(message));
  await pause(faults.delayMs);
  const requestId = randomUUID();
  const answer = await answerOf({ store, faults }, request).catch((thrown: unknown) =>
    failed(request, thrown, requestId),
  );
  const { operation, bucket, key } = request;
  calls.push({ operation, bucket, key, status: answer.status });
  response.writeHead(answer.status, { "x-amz-request-id": requestId, ...answer.headers });
  const isBare = message.method === "HEAD" || answer.status === 304;
  response.end(isBare ? undefined : answer.body);
}

async function answerOf(
  { store, faults }: Pick<State, "store" | "faults">,
  request: S3Request,
): Promise<Answer> {
  const problem = await signatureProblem(request, { ...LOCAL_ACCOUNT, service: "s3" });
  if (problem !== null) throw refusalOf(problem);
  const carryOut = OPERATIONS[request.operation];
  if (carryOut === undefined) throw new S3Error("NotImplemented", { Header: request.operation });
  faults.check(request);
  try {
    return carryOut(store, request);
  } catch (thrown) {
    // Whoever may not list a bucket does not hear that a key is missing.
    const list = { ...request, operation: "ListObjectsV2" };
    const isMissing = thrown instanceof S3Error && thrown.code === "NoSuchKey";
    if (isMissing && faults.isDenied(list)) throw new S3Error("AccessDenied", {});
    throw thrown;
  }
}

function failed(request: S3Request, thrown: unknown, requestId: string): Answer {
  const error = thrown instanceof S3Error ? thrown : new S3Error("InternalError", {});
  return {
    status: error.status,
    headers: { "content-type": "application/xml" },
    body: error.xml(request.target.split("?", 1)[0] ?? "", requestId),
  };
}

function requestOf({ method = "", url: target = "/", headers }: IncomingMessage, body: Buffer) {
  const { pathname, searchParams } = new URL(target, "http://loopback");
  const [, bucket = "", ...path] = pathname.split("/").map(decodeURIComponent);
  const name = path.join("/");
  const operation = operationOf({ method, key: name, headers, searchParams });
  const key = operation === "ListObjectsV2" ? (searchParams.get("prefix") ?? "") : name;
  return { method, target, headers, body, bucket, key, operation, searchParams };
}

/** Says a wrong signature in the words of S3, which has its own. */
function refusalOf({ type, message }: SignatureProblem): S3Error {
  if (type === "MissingAuthenticationTokenException") return new S3Error("AccessDenied", {});
  if (type === "UnrecognizedClientException") return new S3Error("InvalidAccessKeyId", {});
  if (message.startsWith("Credential")) return new S3Error("AuthorizationHeaderMalformed", {});
  const isLate = message.startsWith("Signature ");
  return new S3Error(isLate ? "RequestTimeTooSkewed" : "SignatureDoesNotMatch", {});
}

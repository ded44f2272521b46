import { randomUUID } from "node:crypto";
import type { ResponseBucket } from "./bucket.ts";
import { judge, NO_ANSWER, type ResourceRequest, type Verdict } from "./response.ts";

/** The settings for sending requests. */
export interface SenderOptions {
  /** Calls the function asynchronously. Settles when the function and every retry have ended. */
  readonly invoke: (event: ResourceRequest) => Promise<unknown>;
  /** How long an answer may take. Default: CloudFormation's limit, an hour. */
  readonly serviceTimeoutMs?: number;
}

/** One request, and its answer with CloudFormation's judgement. */
export interface Exchange extends Verdict {
  readonly request: ResourceRequest;
  /** The body of the first stored answer; null when no answer was stored. */
  readonly answer: string | null;
  /** The HTTP status of every attempt to answer, in order. */
  readonly puts: readonly number[];
}

/** The settings for delivering an operation. */
export interface DeliveryOptions {
  /** How often the same request is delivered at the same time. Lambda promises at least once. Default: 1. */
  readonly deliveries?: number;
}

/** The sender: one stack. */
export interface Sender {
  readonly options: SenderOptions;
  readonly bucket: ResponseBucket;
  readonly stackId: string;
  readonly serviceToken: string;
}

/** The part of a request that differs from one to the next. */
export type Change = Pick<
  ResourceRequest,
  "RequestType" | "LogicalResourceId" | "ResourceProperties"
> &
  Partial<Pick<ResourceRequest, "OldResourceProperties" | "PhysicalResourceId">>;

const SERVICE_TIMEOUT_MS = 3_600_000;

/** Sends one request and waits for its answer, and for the end of the function. */
export async function exchange(
  sender: Sender,
  change: Change,
  { deliveries = 1 }: DeliveryOptions = {},
): Promise<Exchange> {
  const { bucket, options, stackId, serviceToken } = sender;
  const requestId = randomUUID();
  const key = keyOf({ ...change, StackId: stackId, RequestId: requestId });
  const request: ResourceRequest = {
    ...change,
    RequestId: requestId,
    ResponseURL: bucket.presign(key),
    StackId: stackId,
    ResourceType: "Custom::NeonMigrations",
    ServiceToken: serviceToken,
  };
  const stored = bucket.stored(key);
  const calls = Array.from({ length: deliveries }, () => options.invoke(request));
  // CloudFormation does not see a failing function: it looks at the bucket only.
  const ended = Promise.allSettled(calls).then(() => null);
  const answer = await withTimeout(
    Promise.race([stored, ended]),
    options.serviceTimeoutMs ?? SERVICE_TIMEOUT_MS,
  );
  // A second answer counts, too, so the function's end is awaited.
  if (answer !== null) await withTimeout(ended, options.serviceTimeoutMs ?? SERVICE_TIMEOUT_MS);
  const puts = bucket.puts(key);
  const verdict = answer === null ? NO_ANSWER : judge(answer, request);
  // An answer that is sent again because its receipt was lost is the same answer.
  const answers = new Set(puts.filter(({ status }) => status === 200).map(({ body }) => body)).size;
  const repeated = answers > deliveries ? [`${answers} answers were sent.`] : [];
  const statuses = puts.map(({ status }) => status);
  const problems = [...verdict.problems, ...repeated];
  return { ...verdict, problems, request, answer, puts: statuses };
}

/** Returns every answer to a request that a bucket took, in order, judged by the contract. */
export function answersTo(bucket: ResponseBucket, request: ResourceRequest): readonly Verdict[] {
  return bucket
    .puts(keyOf(request))
    .filter(({ status }) => status === 200)
    .map(({ body }) => judge(body, request));
}

function keyOf({
  StackId,
  LogicalResourceId,
  RequestId,
}: Pick<ResourceRequest, "StackId" | "LogicalResourceId" | "RequestId">): string {
  return `${StackId}|${LogicalResourceId}|${RequestId}`;
}

async function withTimeout<Value>(
  promise: Promise<Value>,
  timeoutMs: number,
): Promise<Value | null> {
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  const value = await Promise.race([promise, timedOut]);
  clearTimeout(timer);
  return value;
}

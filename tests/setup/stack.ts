import { type ResponseBucket, startBucket } from "../../local/cloudformation-bucket.ts";
import { type Change, type Exchange, exchange } from "../../local/cloudformation-exchange.ts";
import { judge, type ResourceRequest, type Verdict } from "../../local/cloudformation-response.ts";
import { type ResponseFront, startResponseFront } from "./response-front.ts";

/** One stack, whose requests are sent one by one and whose answers are all kept. */
export interface TestStack {
  readonly front: ResponseFront;
  readonly bucket: ResponseBucket;
  /** Sends one request, as often as told at the same time, and waits until every delivery has ended. */
  send(change: Change, options?: SendOptions): Promise<Exchange>;
  /** Every answer to a request that the bucket took, in order, judged by the contract. */
  answers(request: ResourceRequest): readonly Verdict[];
  stop(): Promise<void>;
}

/** How one request is sent. */
export interface SendOptions {
  /** Default 1. */
  readonly deliveries?: number;
  /** Who is asked. Default: the function itself. */
  readonly serviceToken?: string;
  /** Default: what the stack was started with. */
  readonly invoke?: (request: ResourceRequest) => Promise<unknown>;
}

const STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/local/b8c6f3a0";

/** Starts a stack; its answers go through a front that can break connections. */
export async function startStack(
  serviceToken: string,
  invoke: (request: ResourceRequest) => Promise<unknown>,
): Promise<TestStack> {
  const bucket = await startBucket();
  const front = await startResponseFront(Number(new URL(bucket.presign("")).port));
  const presign = (key: string) => front.through(bucket.presign(key));
  return {
    front,
    bucket,
    send: (change, { deliveries = 1, ...other } = {}) => {
      const sender = {
        options: { invoke: other.invoke ?? invoke },
        bucket: { ...bucket, presign },
        stackId: STACK_ID,
        serviceToken: other.serviceToken ?? serviceToken,
      };
      return exchange(sender, change, { deliveries });
    },
    answers: (request) =>
      bucket
        .puts(`${STACK_ID}|${request.LogicalResourceId}|${request.RequestId}`)
        .filter(({ status }) => status === 200)
        .map(({ body }) => judge(body, request)),
    stop: async () => {
      await front.stop();
      await bucket.stop();
    },
  };
}

/*
 * A stand-in for Amazon S3 on loopback: buckets in memory, path style, and the objects of them for the AWS SDK and CLI.
 * Signed requests come in, and S3's answers go out, its refusals in XML included. `ObjectStore` is the same buckets without
 * the network, for stand-ins of services that read and write objects themselves. An operation or a header that it does not
 * have is answered with `NotImplemented`, by name. Nothing here is durable.
 *
 *   const s3 = await startS3({ buckets: ["fleet"] });
 *   Object.assign(process.env, s3.environment);
 *   s3.store.put("fleet", "targets.jsonl", lines);
 */

import type { Denial } from "../aws/denials.ts";
import { serviceEnvironment, startLoopback } from "../aws/loopback.ts";
import { Faults, type S3Call, type S3Operation } from "./faults.ts";
import { serve } from "./serve.ts";
import { ObjectStore } from "./store.ts";

/** The buckets to begin with. */
export interface S3Options {
  readonly buckets: readonly string[];
  /** A fixed port. Default: a free one. */
  readonly port?: number;
}

/** S3 on loopback. */
export interface LocalS3 {
  readonly url: string;
  /** The environment that points any AWS SDK at it, with its credentials. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same buckets without the network, and without denials. */
  readonly store: ObjectStore;
  /** Every request so far, in the order of the answers. */
  readonly calls: readonly S3Call[];
  /**
   * Answers requests below a prefix with `AccessDenied`. Where lists are denied, a key that is missing is denied as well.
   * @param operations Default: all
   */
  deny(
    bucket: string,
    prefix: string,
    options?: Denial & { readonly operations?: readonly S3Operation[] },
  ): void;
  /** Answers the next requests of an operation with this error (`SlowDown`, `InternalError`, `ConditionalRequestConflict`). */
  fail(operation: S3Operation, code: string, count: number): void;
  /** Delays every answer. Default: 0. */
  setDelayMs(delayMs: number): void;
  stop(): Promise<void>;
}

/** Starts the stand-in. It accepts only requests that are signed with its credentials for its region. */
export async function startS3({ buckets, port }: S3Options): Promise<LocalS3> {
  const store = new ObjectStore(buckets);
  const calls: S3Call[] = [];
  const faults = new Faults();
  const server = await startLoopback(
    (request, response) => serve({ store, calls, faults }, request, response),
    port,
  );
  return {
    url: server.url,
    environment: serviceEnvironment("S3", server.url),
    store,
    calls,
    deny: (bucket, prefix, { operations, ...denial } = {}) =>
      faults.deny({ bucket, prefix, operations }, denial),
    fail: (operation, code, count) => faults.fail(operation, code, count),
    setDelayMs: (delayMs) => {
      faults.delayMs = delayMs;
    },
    stop: server.stop,
  };
}

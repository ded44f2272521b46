import { MigratorError, toError } from "../errors.ts";
import { grantAdvice, isDenied, reasonOf } from "../rights.ts";

/** An object, and the version of it that was read. */
export interface StoredText {
  readonly text: string;
  readonly etag: string;
}

/** The objects of one bucket. Every function throws a MigratorError `FLEET_UNAVAILABLE`. */
export interface ObjectStore {
  readonly bucket: string;
  /** Reads a text; null where there is no such object. @param maxBytes its most. Default: that of a list */
  read(key: string, maxBytes?: number): Promise<StoredText | null>;
  write(key: string, text: string): Promise<void>;
  /**
   * Writes a text over the version that was read, or over nothing.
   * @returns false where somebody else was faster
   */
  replace(key: string, text: string, before: StoredText | null): Promise<boolean>;
  /** The keys that begin with a prefix. */
  list(prefix: string): Promise<readonly string[]>;
}

/** Longest time of one attempt. A list of 10,000 targets has 1 to 2 MB. */
const ATTEMPT_MS = 30_000;
/** The largest list that is read: a function of 256 MB has room for it. */
const MAX_BYTES = 32 * 1024 ** 2;
/** Somebody else wrote at the same moment, or before. */
const LOST = [409, 412];

/** Opens a bucket. The AWS client loads now. @param deadline epoch ms after which no call goes on */
export async function openStore(bucket: string, deadline: number): Promise<ObjectStore> {
  const s3 = await import("@aws-sdk/client-s3");
  const client = new s3.S3Client({ maxAttempts: 5 });
  const call = caller(bucket, deadline);
  return {
    bucket,
    async read(key, maxBytes = MAX_BYTES) {
      const found = await call(`s3:GetObject on ${key}`, [404], async (abortSignal) => {
        const command = new s3.GetObjectCommand({ Bucket: bucket, Key: key });
        const { Body, ETag, ContentLength } = await client.send(command, { abortSignal });
        if ((ContentLength ?? 0) > maxBytes)
          throw tooLarge(bucket, key, ContentLength ?? 0, maxBytes);
        return { text: (await Body?.transformToString()) ?? "", etag: ETag ?? "" };
      });
      return found ?? null;
    },
    async write(key, text) {
      await call(`s3:PutObject on ${key}`, [], (abortSignal) =>
        client.send(new s3.PutObjectCommand({ Bucket: bucket, Key: key, Body: text }), {
          abortSignal,
        }),
      );
    },
    async replace(key, text, before) {
      const condition = before === null ? { IfNoneMatch: "*" } : { IfMatch: before.etag };
      const command = new s3.PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: text,
        ...condition,
      });
      const written = await call(`s3:PutObject on ${key}`, [...LOST, 404], (abortSignal) =>
        client.send(command, { abortSignal }),
      );
      return written !== undefined;
    },
    async list(prefix) {
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const command = new s3.ListObjectsV2Command({
          ...{ Bucket: bucket, Prefix: prefix },
          ...(token === undefined ? {} : { ContinuationToken: token }),
        });
        const page = await call(`s3:ListBucket on ${prefix}`, [], (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        keys.push(...(page?.Contents ?? []).flatMap(({ Key }) => Key ?? []));
        token = page?.NextContinuationToken;
      } while (token !== undefined);
      return keys;
    },
  };
}

/** Makes calls that end in time. A status that is expected makes the answer undefined. */
function caller(bucket: string, deadline: number) {
  return async <Answer>(
    right: string,
    expected: readonly number[],
    send: (abortSignal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer | undefined> => {
    try {
      const leftMs = Math.min(deadline - Date.now(), ATTEMPT_MS);
      return await send(AbortSignal.timeout(Math.max(Math.floor(leftMs), 1)));
    } catch (thrown) {
      if (thrown instanceof MigratorError) throw thrown;
      if (expected.includes(statusOf(thrown)) && !isNoBucket(thrown)) return undefined;
      throw unavailable(bucket, right, thrown);
    }
  };
}

function statusOf(thrown: unknown): number {
  return Number(Object(Object(thrown).$metadata).httpStatusCode ?? 0);
}

function isNoBucket(thrown: unknown): boolean {
  return toError(thrown).name === "NoSuchBucket";
}

function unavailable(bucket: string, right: string, thrown: unknown): MigratorError {
  const wayOut = isDenied(thrown)
    ? grantAdvice(`${right} in the bucket ${bucket}`)
    : "Look at the name of the bucket, at its Region, and at the way to S3.";
  const status = statusOf(thrown);
  return new MigratorError(
    "FLEET_UNAVAILABLE",
    `The bucket ${bucket} did not allow ${right}: ${reasonOf(thrown).replace(/\.$/, "")}. ${wayOut}`,
    { retryable: status === 0 || status >= 500 },
  );
}

function tooLarge(bucket: string, key: string, bytes: number, most: number): MigratorError {
  return new MigratorError(
    "FLEET_INVALID",
    `s3://${bucket}/${key} has ${bytes} bytes, and may have ${most}. Cut the fleet into several.`,
  );
}

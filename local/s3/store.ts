import { createHash } from "node:crypto";
import { S3Error } from "./errors.ts";

/** An object as it is kept. */
export interface StoredObject {
  readonly body: Buffer;
  /** The MD5 of the body in quotation marks, as S3 makes it for an object of one part. */
  readonly etag: string;
  readonly contentType: string;
  readonly lastModified: Date;
}

/** The conditions of a write. Both absent: none. */
export interface WriteConditions {
  /** The ETag that the object must have. */
  readonly ifMatch?: string | undefined;
  /** Only `*`: there must be no object. */
  readonly ifNoneMatch?: string | undefined;
}

/** A page of a list. */
export interface Page {
  readonly objects: readonly { readonly key: string; readonly object: StoredObject }[];
  /** The beginnings up to the delimiter that several keys share. */
  readonly commonPrefixes: readonly string[];
  /** The next page has the keys behind this text; null on the last page. */
  readonly next: string | null;
}

/** What is listed. */
export interface ListOptions {
  readonly prefix?: string;
  readonly delimiter?: string;
  /** Keys behind this one only. */
  readonly after?: string;
  /** The most entries of a page: 1,000, or fewer. */
  readonly maxKeys?: number;
}

/** S3's largest page (S3 API reference, ListObjectsV2). */
const MAX_KEYS = 1_000;
/** The longest key in bytes (S3 user guide, "Naming Amazon S3 objects"). */
const MAX_KEY_BYTES = 1_024;

/** Behind every key that begins in the same way. */
const LAST_CHARACTER = "\u{10ffff}";

/** Buckets of objects in memory. A write is seen by the next read, as in S3. */
export class ObjectStore {
  readonly #buckets = new Map<string, Map<string, StoredObject>>();

  constructor(buckets: readonly string[]) {
    for (const bucket of buckets) this.#buckets.set(bucket, new Map());
  }

  /** @throws S3Error `NoSuchBucket`, `NoSuchKey` */
  get(bucket: string, key: string): StoredObject {
    const object = this.#objects(bucket).get(key);
    if (object === undefined) throw new S3Error("NoSuchKey", { Key: key });
    return object;
  }

  has(bucket: string, key: string): boolean {
    return this.#objects(bucket).has(key);
  }

  /** @throws S3Error `PreconditionFailed` where a condition does not hold */
  put(
    bucket: string,
    key: string,
    body: string | Buffer,
    {
      ifMatch,
      ifNoneMatch,
      contentType = "application/octet-stream",
    }: WriteConditions & {
      readonly contentType?: string | undefined;
    } = {},
  ): StoredObject {
    const objects = this.#objects(bucket);
    if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error("KeyTooLongError", {});
    if (ifNoneMatch !== undefined && ifNoneMatch !== "*") {
      throw new S3Error("NotImplemented", { Header: "If-None-Match" });
    }
    if (ifNoneMatch === "*" && objects.has(key)) {
      throw new S3Error("PreconditionFailed", { Condition: "If-None-Match" });
    }
    if (ifMatch !== undefined && !isTag(this.get(bucket, key).etag, ifMatch)) {
      throw new S3Error("PreconditionFailed", { Condition: "If-Match" });
    }
    const bytes = Buffer.from(body);
    const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
    const object = { body: bytes, etag, contentType, lastModified: new Date() };
    objects.set(key, object);
    return object;
  }

  /** Deletes an object. One that is missing is no error. */
  delete(bucket: string, key: string): void {
    this.#objects(bucket).delete(key);
  }

  /** Lists keys in the order of their bytes. */
  list(
    bucket: string,
    { prefix = "", delimiter = "", after = "", maxKeys = MAX_KEYS }: ListOptions = {},
  ): Page {
    const objects = this.#objects(bucket);
    const page = { objects: [] as Page["objects"][number][], commonPrefixes: [] as string[] };
    const limit = Math.min(maxKeys, MAX_KEYS);
    const found = [...objects].filter(([key]) => key.startsWith(prefix) && limit > 0);
    let next = after;
    for (const [key, object] of found.toSorted(([one], [other]) => compare(one, other))) {
      if (compare(key, next) <= 0) continue;
      if (page.objects.length + page.commonPrefixes.length >= limit) return { ...page, next };
      const entry = entryOf(key, prefix, delimiter);
      if (entry === key) page.objects.push({ key, object });
      else page.commonPrefixes.push(entry);
      next = entry === key ? key : entry + LAST_CHARACTER;
    }
    return { ...page, next: null };
  }

  #objects(bucket: string): Map<string, StoredObject> {
    const objects = this.#buckets.get(bucket);
    if (objects === undefined) throw new S3Error("NoSuchBucket", { BucketName: bucket });
    return objects;
  }
}

/** Whether a condition names this ETag, with or without its quotation marks. */
export function isTag(etag: string, condition: string): boolean {
  return condition === "*" || condition === etag || `"${condition}"` === etag;
}

/** Returns the key, or its beginning up to the first delimiter behind the prefix. */
function entryOf(key: string, prefix: string, delimiter: string): string {
  const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
  return end === -1 ? key : key.slice(0, end + delimiter.length);
}

function compare(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

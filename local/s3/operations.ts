import type { IncomingHttpHeaders } from "node:http";
import { xml } from "../account/xml.ts";
import { objectBody } from "./body.ts";
import { S3Error } from "./errors.ts";
import { isTag, type ObjectStore, type StoredObject } from "./store.ts";

/** A request, taken apart. */
export interface S3Request {
  readonly method: string;
  /** Path and query, still encoded. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The operation, or the words for one that is not stood in for. */
  readonly operation: string;
  readonly bucket: string;
  /** The key, or the prefix of a list. */
  readonly key: string;
  readonly searchParams: URLSearchParams;
}

/** The answer to a request. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: string | Buffer;
}

/** What each operation does. */
export const OPERATIONS: Readonly<
  Record<string, (store: ObjectStore, request: S3Request) => Answer>
> = {
  GetObject: getObject,
  HeadObject: getObject,
  PutObject: putObject,
  DeleteObject: (store, { bucket, key }) => {
    store.delete(bucket, key);
    return { status: 204 };
  },
  ListObjectsV2: listObjects,
};

const METHODS: Readonly<Record<string, string>> = {
  GET: "GetObject",
  HEAD: "HeadObject",
  PUT: "PutObject",
  DELETE: "DeleteObject",
};
/** The headers that ask for what this stand-in does not do. */
const FOREIGN_HEADERS = [
  "range",
  "x-amz-copy-source",
  "x-amz-tagging",
  "x-amz-server-side-encryption-customer-algorithm",
  "x-amz-object-lock-mode",
  "x-amz-write-offset-bytes",
];
const OBJECT_PARAMETERS = ["x-id"];
const LIST_PARAMETERS = [
  ...["list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after"],
  ...["encoding-type", "fetch-owner", "x-id"],
];

/** Names the operation of a request; for one that is not stood in for, the part of it that is not known. */
export function operationOf({
  method,
  key,
  headers,
  searchParams,
}: Pick<S3Request, "method" | "key" | "headers" | "searchParams">): string {
  const isList = method === "GET" && key === "" && searchParams.get("list-type") === "2";
  const known = isList ? LIST_PARAMETERS : OBJECT_PARAMETERS;
  const foreign = [
    ...[...searchParams.keys()].filter((name) => !known.includes(name)).map((name) => `?${name}`),
    ...FOREIGN_HEADERS.filter((name) => headers[name] !== undefined),
  ];
  if (foreign[0] !== undefined) return foreign[0];
  if (isList) return "ListObjectsV2";
  const operation = key === "" ? undefined : METHODS[method];
  return operation ?? `${method} of a bucket`;
}

function getObject(store: ObjectStore, { bucket, key, headers }: S3Request): Answer {
  const object = store.get(bucket, key);
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  if (ifMatch !== undefined && !isTag(object.etag, ifMatch)) {
    throw new S3Error("PreconditionFailed", { Condition: "If-Match" });
  }
  if (ifNoneMatch !== undefined && isTag(object.etag, ifNoneMatch)) {
    throw new S3Error("NotModified", {});
  }
  return {
    status: 200,
    headers: {
      etag: object.etag,
      "content-type": object.contentType,
      "content-length": object.body.length,
      "last-modified": object.lastModified.toUTCString(),
    },
    body: object.body,
  };
}

function putObject(store: ObjectStore, { bucket, key, headers, body }: S3Request): Answer {
  const { etag } = store.put(bucket, key, objectBody(headers, body), {
    ifMatch: headers["if-match"],
    ifNoneMatch: headers["if-none-match"],
    contentType: headers["content-type"],
  });
  return { status: 200, headers: { etag } };
}

function listObjects(store: ObjectStore, { bucket, key: prefix, searchParams }: S3Request): Answer {
  const asked = (name: string) => searchParams.get(name) ?? "";
  const maxKeys = Number(searchParams.get("max-keys") ?? 1_000);
  if (!Number.isInteger(maxKeys) || maxKeys < 0) throw new S3Error("InvalidArgument", {});
  const token = asked("continuation-token");
  const delimiter = asked("delimiter");
  const page = store.list(bucket, {
    prefix,
    delimiter,
    after: token === "" ? asked("start-after") : keyOf(token),
    maxKeys,
  });
  const isEncoded = asked("encoding-type") === "url";
  const shown = (text: string) => (isEncoded ? encodeURIComponent(text) : text);
  const count = page.objects.length + page.commonPrefixes.length;
  const body = [
    xml({
      Name: bucket,
      Prefix: shown(prefix),
      KeyCount: String(count),
      MaxKeys: String(maxKeys),
      IsTruncated: String(page.next !== null),
    }),
    delimiter === "" ? "" : xml({ Delimiter: shown(delimiter) }),
    isEncoded ? xml({ EncodingType: "url" }) : "",
    token === "" ? "" : xml({ ContinuationToken: token }),
    page.next === null ? "" : xml({ NextContinuationToken: tokenOf(page.next) }),
    ...page.objects.map(({ key, object }) => xml({ Contents: contents(shown(key), object) })),
    ...page.commonPrefixes.map((each) => xml({ CommonPrefixes: { Prefix: shown(each) } })),
  ].join("");
  return {
    status: 200,
    headers: { "content-type": "application/xml" },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${body}</ListBucketResult>`,
  };
}

function contents(key: string, { body, etag, lastModified }: StoredObject) {
  return {
    Key: key,
    LastModified: lastModified.toISOString(),
    ETag: etag,
    Size: String(body.length),
    StorageClass: "STANDARD",
  };
}

/** A token is opaque, so that nobody takes it for a key. */
function tokenOf(key: string): string {
  return Buffer.from(key).toString("base64url");
}

function keyOf(token: string): string {
  return Buffer.from(token, "base64url").toString();
}

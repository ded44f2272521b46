import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The kinds of signature. CloudFormation's URLs have been seen with both. */
export type Signature = "SigV2" | "SigV4";

/** The access key that signs. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

/** The permission of a URL: one PUT of this resource at this host. */
export interface Grant {
  readonly host: string;
  /** The path, percent-encoded. */
  readonly resource: string;
  readonly signedAt: Date;
}

/** The validity of the URLs in real events: two hours. */
const VALIDITY_S = 7_200;
const REGION = "eu-central-1";

/** Makes a URL that allows one PUT for two hours. */
export function presign(key: AccessKey, signature: Signature, grant: Grant): string {
  const query = signature === "SigV2" ? queryV2(key, grant) : queryV4(key, grant);
  return `http://${grant.host}${grant.resource}?${query}`;
}

/** Returns S3's reason for refusing a request with a presigned URL; null for a good request. */
export function refusalOf(
  key: AccessKey,
  request: IncomingMessage,
): "SignatureDoesNotMatch" | "AccessDenied" | null {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://bucket");
  const isV4 = searchParams.has("X-Amz-Signature");
  const given = searchParams.get(isV4 ? "X-Amz-Signature" : "Signature");
  const expected = isV4
    ? signatureV4(key, request, pathname, searchParams)
    : signatureV2(key, request, pathname, searchParams);
  if (given !== expected) return "SignatureDoesNotMatch";
  return expiryOf(searchParams) < Date.now() ? "AccessDenied" : null;
}

function queryV2(key: AccessKey, { resource, signedAt }: Grant): string {
  const expires = String(Math.floor(signedAt.getTime() / 1_000) + VALIDITY_S);
  const signature = hmacV2(key, ["PUT", "", "", expires, resource]);
  const query = new URLSearchParams({ AWSAccessKeyId: key.id, Expires: expires });
  return `${query}&Signature=${encodeURIComponent(signature)}`;
}

function queryV4(key: AccessKey, { host, resource, signedAt }: Grant): string {
  const time = signedAt.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const query = new URLSearchParams({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${key.id}/${time.slice(0, 8)}/${REGION}/s3/aws4_request`,
    "X-Amz-Date": time,
    "X-Amz-Expires": String(VALIDITY_S),
    "X-Amz-SignedHeaders": "host",
  });
  const request = canonicalRequest("PUT", resource, query, { host });
  return `${query}&X-Amz-Signature=${hmacV4(key, query, request)}`;
}

/** Signs by version 2. The content-type is part of the signature, whether it is sent or not. */
function signatureV2(
  key: AccessKey,
  { method = "", headers }: IncomingMessage,
  resource: string,
  query: URLSearchParams,
): string {
  const header = (name: string) => String(headers[name] ?? "");
  const amz = Object.keys(headers)
    .filter((name) => name.startsWith("x-amz-"))
    .toSorted();
  return hmacV2(key, [
    method,
    header("content-md5"),
    header("content-type"),
    query.get("Expires") ?? "",
    ...amz.map((name) => `${name}:${header(name)}`),
    resource,
  ]);
}

/** Signs by version 4. Only the headers that the URL names are part of the signature. */
function signatureV4(
  key: AccessKey,
  { method = "", headers }: IncomingMessage,
  resource: string,
  query: URLSearchParams,
): string {
  const names = (query.get("X-Amz-SignedHeaders") ?? "").split(";");
  const signed = Object.fromEntries(names.map((name) => [name, String(headers[name] ?? "")]));
  const rest = new URLSearchParams(query);
  rest.delete("X-Amz-Signature");
  return hmacV4(key, rest, canonicalRequest(method, resource, rest, signed));
}

/** Builds the canonical request of AWS signature version 4 ("Authenticating Requests: Using Query Parameters"). */
export function canonicalRequest(
  method: string,
  resource: string,
  query: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): string {
  const path = resource.split("/").map(decodeURIComponent).map(encoded).join("/");
  const pairs = Array.from(query, ([name, value]) => `${encoded(name)}=${encoded(value)}`);
  const names = Object.keys(headers).toSorted();
  const lines = names.map((name) => `${name}:${headers[name]?.trim()}\n`).join("");
  const parts = [method, path, pairs.toSorted().join("&"), lines, names.join(";")];
  return [...parts, "UNSIGNED-PAYLOAD"].join("\n");
}

/** Signs a canonical request, in hex. Scope and time are in its query. */
export function hmacV4(key: AccessKey, query: URLSearchParams, request: string): string {
  const scope = (query.get("X-Amz-Credential") ?? "").split("/").slice(1);
  const digest = createHash("sha256").update(request).digest("hex");
  const text = ["AWS4-HMAC-SHA256", query.get("X-Amz-Date"), scope.join("/"), digest].join("\n");
  const hmac = (by: string | Buffer, part: string) => createHmac("sha256", by).update(part);
  const signing = scope.reduce<string | Buffer>(
    (by, part) => hmac(by, part).digest(),
    `AWS4${key.secret}`,
  );
  return hmac(signing, text).digest("hex");
}

/** Signs by AWS signature version 2, as S3's query string authentication does. */
function hmacV2({ secret }: AccessKey, parts: readonly string[]): string {
  return createHmac("sha1", secret).update(parts.join("\n")).digest("base64");
}

function expiryOf(query: URLSearchParams): number {
  const expires = query.get("Expires");
  if (expires !== null) return Number(expires) * 1_000;
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get("X-Amz-Date") ?? "") ?? [];
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return signedAt + Number(query.get("X-Amz-Expires")) * 1_000;
}

/** Encodes all but RFC 3986's unreserved characters: JavaScript's own function leaves some more. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

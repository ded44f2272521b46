import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { crc32 } from "node:zlib";
import { S3Error } from "./errors.ts";

/** The checksums that are verified. S3 knows CRC32C and CRC64NVME as well. */
const CHECKSUMS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  crc32: (body) => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return sum;
  },
  sha1: (body) => createHash("sha1").update(body).digest(),
  sha256: (body) => createHash("sha256").update(body).digest(),
};
const CHECKSUM = /^x-amz-checksum-(?<name>crc32|crc32c|crc64nvme|sha1|sha256)$/;

/**
 * Returns the body of a PUT without the chunks that SDKs send a stream in.
 * @throws S3Error `BadDigest`, `IncompleteBody`, `NotImplemented` for a checksum that is not known here
 */
export function objectBody(headers: IncomingHttpHeaders, sent: Buffer): Buffer {
  const isChunked = String(headers["content-encoding"] ?? "").includes("aws-chunked");
  const { body, trailer } = isChunked ? unchunked(sent) : { body: sent, trailer: {} };
  const decoded = headers["x-amz-decoded-content-length"];
  if (isChunked && Number(decoded) !== body.length) throw new S3Error("IncompleteBody", {});
  const md5 = headers["content-md5"];
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) {
    throw new S3Error("BadDigest", {});
  }
  for (const [header, value] of Object.entries({ ...headers, ...trailer })) {
    const name = CHECKSUM.exec(header)?.groups?.name;
    if (name !== undefined) verify(name, String(value), body);
  }
  return body;
}

function verify(name: string, claimed: string, body: Buffer): void {
  const checksum = CHECKSUMS[name];
  if (checksum === undefined) throw new S3Error("NotImplemented", { Header: `checksum ${name}` });
  if (checksum(body).toString("base64") !== claimed) throw new S3Error("BadDigest", {});
}

/** Takes the chunks apart (S3 API reference, "Signature calculations with trailing headers"). */
function unchunked(sent: Buffer): {
  readonly body: Buffer;
  readonly trailer: Readonly<Record<string, string>>;
} {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = sent.indexOf("\r\n", at);
    if (end === -1) throw new S3Error("IncompleteBody", {});
    const length = Number.parseInt(sent.toString("latin1", at, end), 16);
    at = end + 2;
    if (length === 0) break;
    parts.push(sent.subarray(at, at + length));
    at += length + 2;
  }
  const lines = sent.toString("latin1", at).split("\r\n");
  const trailer = lines.filter(Boolean).map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { body: Buffer.concat(parts), trailer: Object.fromEntries(trailer) };
}

import type { IncomingHttpHeaders } from "node:http";
import { Hash } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";

/** A signed request as it arrived. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, still encoded. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The accepted keys, and the service and region of their signatures. */
export interface Signatory {
  readonly region: string;
  readonly service: string;
  /** Secret access keys by access key id. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** The reason why a signature is refused, in AWS' words. */
export interface SignatureProblem {
  readonly type: string;
  readonly message: string;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=(?<key>[^/]+)\/(?<date>\d{8})\/(?<region>[^/]+)\/(?<service>[^/]+)\/aws4_request, ?SignedHeaders=(?<signed>[^,]+), ?Signature=(?<signature>[0-9a-f]{64})$/;
const AMZ_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const MAX_SKEW_MS = 300_000;
const BODY_HASH = "x-amz-content-sha256";
/** What S3 takes in place of a hash of the body (S3 API reference, "Authenticating Requests: Authorization Header"). */
const UNSIGNED = ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"];

const MISMATCH: SignatureProblem = {
  type: "InvalidSignatureException",
  message:
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
};

/**
 * Checks a signature of version 4 by signing the same request with AWS' own signer.
 * @returns null for a right signature
 */
export async function signatureProblem(
  request: SignedRequest,
  { region, service, secrets }: Signatory,
  now: Date = new Date(),
): Promise<SignatureProblem | null> {
  const claim = AUTHORIZATION.exec(request.headers.authorization ?? "")?.groups;
  if (claim === undefined) {
    return { type: "MissingAuthenticationTokenException", message: "Missing Authentication Token" };
  }
  const secret = secrets[claim.key ?? ""];
  if (secret === undefined) {
    const message = "The security token included in the request is invalid.";
    return { type: "UnrecognizedClientException", message };
  }
  if (claim.service !== service) return scope(`correct service: '${service}'`);
  if (claim.region !== region) return scope("a valid region");
  const signingDate = dateOf(request.headers["x-amz-date"]);
  if (signingDate === null) return MISMATCH;
  if (Math.abs(now.getTime() - signingDate.getTime()) > MAX_SKEW_MS) {
    return stale(signingDate, now);
  }
  const authorization = await sign(request, { ...claim, secret, region, service, signingDate });
  return authorization?.endsWith(`Signature=${claim.signature}`) === true ? null : MISMATCH;
}

interface Claim {
  readonly key?: string;
  readonly signed?: string;
  readonly secret: string;
  readonly region: string;
  readonly service: string;
  readonly signingDate: Date;
}

async function sign(request: SignedRequest, claim: Claim): Promise<string | undefined> {
  const { key = "", signed = "", secret, region, service, signingDate } = claim;
  const signer = new SignatureV4({
    credentials: { accessKeyId: key, secretAccessKey: secret },
    region,
    service,
    sha256: Hash.bind(null, "sha256"),
    applyChecksum: false,
    // S3 alone signs a path as it is sent.
    uriEscapePath: service !== "s3",
  });
  const url = new URL(request.target, "http://loopback");
  const names = signed.split(";");
  const headers = names.map((name) => [name, String(request.headers[name] ?? "")]);
  const claimedHash = String(request.headers[BODY_HASH]);
  const hash = new Hash("sha256");
  hash.update(request.body);
  const bodyHash = Buffer.from(await hash.digest()).toString("hex");
  if (!names.includes("host")) return undefined;
  const isUnsigned = service === "s3" && UNSIGNED.includes(claimedHash);
  if (names.includes(BODY_HASH) && claimedHash !== bodyHash && !isUnsigned) return undefined;
  const { headers: answer } = await signer.sign(
    {
      method: request.method,
      protocol: "http:",
      hostname: url.hostname,
      path: request.target.split("?", 1)[0] ?? "/",
      query: queryOf(url),
      headers: Object.fromEntries(headers),
      body: request.body,
    },
    { signingDate, signableHeaders: new Set(names) },
  );
  return answer.authorization;
}

function queryOf({ searchParams }: URL): Record<string, string[]> {
  return Object.fromEntries([...searchParams.keys()].map((key) => [key, searchParams.getAll(key)]));
}

function dateOf(header: string | readonly string[] | undefined): Date | null {
  const parts = AMZ_DATE.exec(String(header));
  if (parts === null) return null;
  const [, year, month, day, hour, minute, second] = parts;
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function stale(signed: Date, now: Date): SignatureProblem {
  const early = signed > now;
  const words = early ? "Signature not yet current" : "Signature expired";
  const relation = early ? "still later than" : "now earlier than";
  const message = `${words}: ${compact(signed)} is ${relation} ${compact(now)} (within 5 min.)`;
  return { type: "InvalidSignatureException", message };
}

function compact(date: Date): string {
  return date.toISOString().replaceAll(/[-:]|\.\d+/g, "");
}

function scope(words: string): SignatureProblem {
  const message = `Credential should be scoped to ${words}.`;
  return { type: "InvalidSignatureException", message };
}

import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { type ByteQueue, errorFields, int32, message, readMessage } from "./messages.ts";

const MECHANISM = "SCRAM-SHA-256";
const SASL_CONTINUE = 11;

/** The server's refusal, in its own words. */
export class SaslRefused extends Error {
  readonly fields: ReadonlyMap<string, string>;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get("M") ?? "The server ended the SASL exchange.");
    this.name = "SaslRefused";
    this.fields = fields;
  }
}

/**
 * Proves a password by SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677). The caller reads the
 * server's last message. The server's proof is not checked, because the server is on loopback.
 * @throws SaslRefused when the server refuses
 */
export async function proveByScram(
  password: string,
  from: ByteQueue,
  send: (bytes: Buffer) => void,
): Promise<void> {
  const first = `n=,r=${randomBytes(18).toString("base64")}`;
  const opening = Buffer.from(`n,,${first}`);
  send(message("p", MECHANISM, int32(opening.length), opening));
  const challenge = await readMessage(from);
  if (challenge.type !== "R" || challenge.body.readInt32BE(0) !== SASL_CONTINUE) {
    throw new SaslRefused(errorFields(challenge.body));
  }
  const answer = challenge.body.toString("utf8", 4);
  const nonce = attribute(answer, "r");
  const salted = pbkdf2Sync(
    password.normalize("NFKC"),
    Buffer.from(attribute(answer, "s"), "base64"),
    Number(attribute(answer, "i")),
    32,
    "sha256",
  );
  const withoutProof = `c=biws,r=${nonce}`;
  const clientKey = hmac(salted, "Client Key");
  const storedKey = createHash("sha256").update(clientKey).digest();
  const signature = hmac(storedKey, `${first},${answer},${withoutProof}`);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
  send(message("p", Buffer.from(`${withoutProof},p=${proof.toString("base64")}`)));
}

function attribute(answer: string, name: string): string {
  const found = answer.split(",").find((each) => each.startsWith(`${name}=`));
  return found?.slice(name.length + 1) ?? "";
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

import { asRecord, isRecord } from "../../json.ts";
import { type HttpEvent, headerValues } from "./event.ts";

/** The claims in which a token names its owner, the best name first. */
const CLAIMS = ["email", "username", "cognito:username", "client_id", "sub"];

const MAX_LENGTH = 256;

/**
 * Finds out who called, from the facts that AWS checked before it called us: IAM's ARN, an owner named in a token, or
 * the word of an authorizer. A name that the caller gives itself is not read.
 * @returns null where AWS did not look
 */
export function callerOf(event: HttpEvent): string | null {
  const { authorizer, identity, elb } = asRecord(event.requestContext);
  const { iam, jwt, claims, principalId } = asRecord(authorizer);
  const owner = { ...asRecord(claims), ...asRecord(asRecord(jwt).claims) };
  const found = [
    asRecord(iam).userArn,
    asRecord(identity).userArn,
    ...CLAIMS.map((claim) => owner[claim]),
    principalId,
    // The load balancer takes away a header of this name that a client sends.
    ...(isRecord(elb) ? headerValues(event, "x-amzn-oidc-identity") : []),
  ].find((name) => typeof name === "string" && name !== "");
  return typeof found === "string" ? found.slice(0, MAX_LENGTH) : null;
}

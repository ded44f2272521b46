import { isRecord } from "../../json.ts";
import { type HttpEvent, headerValues } from "./event.ts";

/** Where a token names its owner, the best name first. */
const CLAIMS = ["email", "username", "cognito:username", "client_id", "sub"];

const MAX_LENGTH = 256;

/**
 * Who called, as AWS found out before it called us: IAM's ARN, an owner named in a token, or what an authorizer
 * said. What the caller says of itself is not read.
 * @returns null where AWS did not look
 */
export function callerOf(event: HttpEvent): string | null {
  const { authorizer, identity, elb } = recordIn(event, "requestContext");
  const { iam, jwt, claims, principalId } = asRecord(authorizer);
  const owner = { ...asRecord(claims), ...recordIn(asRecord(jwt), "claims") };
  const found = [
    asRecord(iam).userArn,
    asRecord(identity).userArn,
    ...CLAIMS.map((claim) => owner[claim]),
    principalId,
    // The load balancer takes away what a client sends under this name.
    ...(isRecord(elb) ? headerValues(event, "x-amzn-oidc-identity") : []),
  ].find((name) => typeof name === "string" && name !== "");
  return typeof found === "string" ? found.slice(0, MAX_LENGTH) : null;
}

function recordIn(
  value: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> {
  return asRecord(value[key]);
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

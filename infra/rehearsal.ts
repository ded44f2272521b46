import { Token } from "aws-cdk-lib";
import type { IRole } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import { isProjectId } from "../lib/target/project-id.ts";
import { grantReading, parameterIdOf, secretIdOf } from "./database-url.ts";
import type { NeonApiKey, RehearsalOptions } from "./props.ts";

const PLACES = ["secret", "parameter"];
/** The prop that has the key, for messages. */
const REHEARSALS = "rehearsal.apiKey";

/**
 * Returns the environment variables by which the function makes a branch of production: for every caller, whether a
 * deployment rehearses or not.
 * @throws Error for an apiKey that is not exactly one reference, and for an impossible projectId
 */
export function rehearsalEnvironment(
  scope: Construct,
  { apiKey, projectId }: RehearsalOptions,
): Readonly<Record<string, string>> {
  const key = keyEnvironment(scope, apiKey);
  // An app in JavaScript may set it to null.
  if (projectId === undefined || projectId === null) return key;
  if (!Token.isUnresolved(projectId) && !isProjectId(projectId)) {
    throw new Error(
      `${scope.node.path}: rehearsal.projectId is ${JSON.stringify(projectId)}, which is no id of a Neon project. One has small letters, digits and hyphens, such as late-frost-12345678.`,
    );
  }
  return { ...key, NEON_PROJECT_ID: projectId };
}

/**
 * Returns the environment variables that lead the function to its key of Neon's API.
 * @throws Error for a key that is not exactly one reference
 */
export function keyEnvironment(
  scope: Construct,
  given: NeonApiKey,
  prop: string = REHEARSALS,
): Readonly<Record<string, string>> {
  const key = onlyKey(scope, given, prop);
  if ("parameter" in key) return { NEON_API_KEY_PARAMETER: parameterIdOf(key.parameter) };
  const field = key.field === undefined ? "" : `#${key.field}`;
  return { NEON_API_KEY_SECRET: `${secretIdOf(scope, key.secret)}${field}` };
}

/** Lets the function read the API key, and nothing else. */
export function grantApiKey(
  scope: Construct,
  apiKey: NeonApiKey,
  role: IRole,
  prop: string = REHEARSALS,
): void {
  grantReading(scope, onlyKey(scope, apiKey, prop), role);
}

/** Returns the fields of the request by which a deployment rehearses. */
export function rehearsalRequest({ mode, limits = {} }: RehearsalOptions): object {
  const given = Object.entries(limits).filter(([, value]) => (value ?? null) !== null);
  return {
    rehearsal: mode ?? "first",
    ...(given.length === 0 ? {} : { rehearsalLimits: Object.fromEntries(given) }),
  };
}

/** Returns the one place that is given. An app in JavaScript may name a key itself, or set a field to undefined. */
function onlyKey(scope: Construct, key: NeonApiKey, prop: string): NeonApiKey {
  const fields = Object.entries(Object(key)).filter(([, value]) => (value ?? null) !== null);
  const given = fields.map(([name]) => name).filter((name) => PLACES.includes(name));
  // The type allows exactly the fields that are left.
  if (given.length === 1) return Object.fromEntries(fields) as unknown as NeonApiKey;
  throw new Error(
    `${scope.node.path}: ${prop} needs exactly one of secret and parameter, and has ${given.join(" and ") || "neither"}.`,
  );
}

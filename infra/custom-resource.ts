import { createHash } from "node:crypto";
import { CustomResource, Duration, Lazy, Token } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { MAX_SERVICE_TIMEOUT_S, serviceTimeoutOf } from "../lib/events/redelivery.ts";
import { parseRequest, REQUEST_KEYS } from "../lib/request.ts";
import { longestSecondsOf } from "./function-settings.ts";
import type { Functions } from "./functions.ts";
import type { NeonMigrationsProps, RunRequest } from "./props.ts";
import { rehearsalRequest } from "./rehearsal.ts";

/** How long before CloudFormation gives a run up its answer is sent. */
const ANSWER_MARGIN_S = 60;

/** Fields for other callers only: a custom resource always applies, and cannot return a failed report. */
const NOT_FOR_DEPLOYMENTS = ["action", "onFailure"];
/** Fields that come from a property of their own, because they need a key of Neon's API. */
const OF_REHEARSAL = ["rehearsal", "rehearsalLimits"];

/** Makes the custom resource that fires the function when, and only when, its properties change. */
export function makeRun(
  scope: Construct,
  { main, environment }: Functions,
  props: NeonMigrationsProps,
  hash: string,
): CustomResource {
  const seconds = longestSecondsOf(scope, props);
  const run = new CustomResource(scope, "Run", {
    serviceToken: main.functionArn,
    resourceType: "Custom::NeonMigrations",
    serviceTimeout: Duration.seconds(serviceTimeoutOf(seconds, props.retryAttempts)),
    properties: {
      ...requestOf(scope, props, seconds),
      MigrationsHash: hash,
      Database: databaseOf(environment),
      ...(props.alwaysRun === true ? { SynthesisedAt: new Date().toISOString() } : {}),
    },
  });
  // The role's rights and the setting for retries must be there before the function is fired, and until the Delete.
  // Later children of the function are left out: one may be a permission for a service that waits for the run.
  run.node.addDependency(...main.node.children);
  return run;
}

/**
 * Names the database and its ledger, so that CloudFormation fires the function for another one. A connection string goes
 * in as a hash: CloudFormation would resolve a reference to a secret, and send the secret.
 */
function databaseOf(environment: Functions["environment"]): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}=${name === "DATABASE_URL" ? hashOf(value) : value}`)
    .join(" ");
}

function hashOf(secret: string): string {
  return Lazy.uncachedString({
    produce: (context) =>
      createHash("sha256")
        .update(JSON.stringify(context.resolve(secret)))
        .digest("hex"),
  });
}

/** Ends a run before CloudFormation has given it up: it would go on behind the rollback. */
function withinWait(request: RunRequest, seconds: number): RunRequest {
  const longest = MAX_SERVICE_TIMEOUT_S - ANSWER_MARGIN_S;
  if (seconds <= longest) return request;
  const { timeoutMs = longest * 1_000 } = request;
  const isShorter = Token.isUnresolved(timeoutMs) || timeoutMs <= longest * 1_000;
  return { ...request, timeoutMs: isShorter ? timeoutMs : longest * 1_000 };
}

/**
 * Returns the request as CloudFormation sends it: every value is a text.
 * @throws Error at synth for a request that the function would refuse during the deployment
 */
function requestOf(
  scope: Construct,
  { request = {}, rehearsal }: NeonMigrationsProps,
  seconds: number,
): Readonly<Record<string, unknown>> {
  refuseUnknownFields(scope, request);
  const fields = {
    ...withinWait(request, seconds),
    ...(rehearsal === undefined ? {} : rehearsalRequest(rehearsal)),
  };
  try {
    parseRequest(knownOf(fields));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${scope.node.path}: ${message}`, { cause });
  }
  return Object(textOf(fields));
}

function refuseUnknownFields(scope: Construct, request: RunRequest): void {
  const allowed = REQUEST_KEYS.filter(
    (key) => ![...NOT_FOR_DEPLOYMENTS, ...OF_REHEARSAL].includes(key),
  );
  const unknown = Object.keys(definedIn(request)).find((name) => !allowed.includes(name));
  if (unknown === undefined) return;
  const advice = OF_REHEARSAL.includes(unknown)
    ? "A rehearsal is the property rehearsal of the construct."
    : `It takes ${allowed.join(", ")}.`;
  throw new Error(`${scope.node.path}: request has no field ${unknown} here. ${advice}`);
}

/** Leaves out the values that only CloudFormation knows. */
function knownOf(fields: object): object {
  const known = Object.entries(definedIn(fields)).filter(([, value]) => !Token.isUnresolved(value));
  return Object.fromEntries(
    known.map(([name, value]) => [name, typeof value === "object" ? knownOf(value) : value]),
  );
}

function textOf(value: unknown): unknown {
  if (Token.isUnresolved(value)) return value;
  if (typeof value !== "object" || value === null) return String(value);
  const fields = Object.entries(definedIn(value));
  return Object.fromEntries(fields.map(([name, each]) => [name, textOf(each)]));
}

function definedIn(fields: object): object {
  const defined = Object.entries(fields).filter(([, value]) => (value ?? null) !== null);
  return Object.fromEntries(defined);
}

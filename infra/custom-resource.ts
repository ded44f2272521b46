import { createHash } from "node:crypto";
import { CustomResource, Duration, Lazy, Token } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { MAX_SERVICE_TIMEOUT_S, serviceTimeoutOf } from "../lib/events/redelivery.ts";
import { parseRequest, REQUEST_KEYS } from "../lib/request.ts";
import { type Functions, longestSecondsOf } from "./functions.ts";
import type { NeonMigrationsProps, RunRequest } from "./props.ts";

/** How long before CloudFormation gives a run up its answer is sent. */
const ANSWER_MARGIN_S = 60;

/** Fields for other callers only: a custom resource always applies, and cannot return a failed report. */
const NOT_FOR_DEPLOYMENTS = ["action", "onFailure"];

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
      ...textsOf(scope, withinWait(props.request ?? {}, seconds)),
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
function textsOf(scope: Construct, request: RunRequest): Readonly<Record<string, unknown>> {
  const fields = Object.entries(request).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  const allowed = REQUEST_KEYS.filter((key) => !NOT_FOR_DEPLOYMENTS.includes(key));
  const unknown = fields.find(([name]) => !allowed.includes(name));
  if (unknown !== undefined) {
    throw new Error(
      `${scope.node.path}: request has no field ${unknown[0]} here. It takes ${allowed.join(", ")}.`,
    );
  }
  const isKnown = ([, value]: [string, unknown]) => !Token.isUnresolved(value);
  try {
    parseRequest(Object.fromEntries(fields.filter(isKnown)));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${scope.node.path}: ${message}`, { cause });
  }
  return Object.fromEntries(
    fields.map(([name, value]) => [name, isKnown([name, value]) ? String(value) : value]),
  );
}

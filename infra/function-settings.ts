import { Annotations, Duration, Token } from "aws-cdk-lib";
import { Architecture, Code, type FunctionProps, Runtime } from "aws-cdk-lib/aws-lambda";
import { type ILogGroup, LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { eventAgeOf, RETRY_ATTEMPTS } from "../lib/events/redelivery.ts";
import type { Compiled } from "./compile.ts";
import { LEAST_MEMORY_MB } from "./managed-instances.ts";
import type { NeonMigrationsProps } from "./props.ts";
import { acknowledge } from "./role.ts";

/** The props of a function that holds migrations. */
export type FunctionSettings = Pick<
  NeonMigrationsProps,
  | "runtime"
  | "architecture"
  | "memorySize"
  | "timeout"
  | "retryAttempts"
  | "capacityProvider"
  | "tracing"
  | "vpc"
  | "vpcSubnets"
  | "securityGroups"
  | "asyncRuns"
>;

/** The runtimes in which the handler is tested. AWS takes no new functions on older ones. */
const RUNTIMES = [Runtime.NODEJS_24_X, Runtime.NODEJS_22_X];

/** Lambda's limit for the time-out of a standard function. */
const MAX_TIMEOUT_SECONDS = 900;
/** Its limit on Managed Instances. It is that of asynchronous calls: any other ends after 900 s there, too. */
const MAX_INSTANCES_TIMEOUT_SECONDS = 5_400;

/**
 * Returns the settings of a function with migrations.
 * @throws Error for an unsupported runtime, a time-out that is too long, or too little memory
 */
export function functionSettings(
  scope: Construct,
  props: FunctionSettings,
  compiled: Compiled,
): Omit<FunctionProps, "handler"> {
  const runtime = runtimeOf(scope, props);
  if (runtime.name !== Runtime.NODEJS_24_X.name) {
    acknowledge(scope, "AwsSolutions-L1", "AWS supports nodejs22.x until April 2027.");
  }
  warnOfIsolation(scope, props);
  return {
    runtime,
    architecture: props.architecture ?? Architecture.ARM_64,
    code: Code.fromAsset(compiled.asset),
    memorySize: memoryOf(scope, props, compiled),
    timeout: timeoutOf(scope, props),
    retryAttempts: props.retryAttempts ?? RETRY_ATTEMPTS,
    ...definedOf({
      maxEventAge: eventAge(scope, props),
      tracing: props.tracing,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups?.slice(),
    }),
  };
}

/** Returns the log group that is named, or a new one. */
export function logGroupOf(
  scope: Construct,
  props: Pick<NeonMigrationsProps, "logGroup" | "logRetention" | "logRemovalPolicy">,
): ILogGroup {
  const { logGroup, logRetention, logRemovalPolicy } = props;
  if (logGroup === undefined) {
    return new LogGroup(scope, "Log", {
      retention: logRetention ?? RetentionDays.SIX_MONTHS,
      ...definedOf({ removalPolicy: logRemovalPolicy }),
    });
  }
  if (logRetention !== undefined || logRemovalPolicy !== undefined) {
    throw new Error(
      `${scope.node.path}: logRetention and logRemovalPolicy belong to the log group that you name. Set them there.`,
    );
  }
  return logGroup;
}

/** Returns the environment variables that name the ledger. */
export function ledgerEnvironment({
  ledger,
}: Pick<NeonMigrationsProps, "ledger">): Readonly<Record<string, string>> {
  const history = ledger?.history;
  return definedOf({
    ...{ LEDGER_SCHEMA: ledger?.schema, LEDGER_TABLE: ledger?.table },
    LEDGER_HISTORY: history === undefined ? undefined : history ? "on" : "off",
  });
}

function runtimeOf(scope: Construct, { runtime }: FunctionSettings): Runtime {
  if (runtime === undefined) return Runtime.NODEJS_24_X;
  if (RUNTIMES.some(({ name }) => name === runtime.name)) return runtime;
  const names = RUNTIMES.map(({ name }) => name).join(" and ");
  throw new Error(`${scope.node.path}: the handler runs on ${names}, not on ${runtime.name}.`);
}

/** Returns Lambda's limit for the function's time-out, in seconds. */
function longestTimeoutOf({ capacityProvider }: FunctionSettings): number {
  return capacityProvider === undefined ? MAX_TIMEOUT_SECONDS : MAX_INSTANCES_TIMEOUT_SECONDS;
}

function memoryOf(
  scope: Construct,
  { capacityProvider, ...props }: FunctionSettings,
  { summary }: Compiled,
) {
  const { memorySize = capacityProvider === undefined ? 512 : LEAST_MEMORY_MB } = props;
  if (Token.isUnresolved(memorySize) || memorySize >= summary.memoryMb) return memorySize;
  throw new Error(
    `${scope.node.path}: memorySize is ${memorySize} MB, and the function needs ${summary.memoryMb} MB for its bundle. Raise memorySize, or load data outside of the migrations.`,
  );
}

/**
 * Returns the longest time that the function may run.
 * @throws Error for more than Lambda allows
 */
function timeoutOf(scope: Construct, props: FunctionSettings): Duration {
  const { timeout = Duration.seconds(MAX_TIMEOUT_SECONDS) } = props;
  const longest = longestTimeoutOf(props);
  if (timeout.isUnresolved() || timeout.toSeconds() <= longest) return timeout;
  const more = `, or ${MAX_INSTANCES_TIMEOUT_SECONDS} s with a capacityProvider`;
  throw new Error(
    `${scope.node.path}: timeout is ${timeout.toSeconds()} s, and a Lambda function may run ${longest} s at most${props.capacityProvider === undefined ? more : ""}.`,
  );
}

/** Returns the longest time that the function may run, in seconds; where only the deployment knows it, Lambda's limit. */
export function longestSecondsOf(scope: Construct, props: FunctionSettings): number {
  const timeout = timeoutOf(scope, props);
  return timeout.isUnresolved() ? longestTimeoutOf(props) : timeout.toSeconds();
}

/** An event that nobody waits for any more must not come back. A queued run may wait for as long as Lambda keeps it. */
function eventAge(scope: Construct, props: FunctionSettings): Duration | undefined {
  if (props.asyncRuns === true) return undefined;
  return Duration.seconds(eventAgeOf(longestSecondsOf(scope, props), props.retryAttempts));
}

/** Warns of subnets without a way out: a stack whose function cannot answer waits for its whole time, perhaps twice. */
function warnOfIsolation(scope: Construct, { vpc, vpcSubnets }: FunctionSettings): void {
  if (vpc === undefined) return;
  const { subnets } = vpc.selectSubnets(vpcSubnets);
  if (subnets.length === 0 || !subnets.every((each) => vpc.isolatedSubnets.includes(each))) return;
  Annotations.of(scope).addWarningV2(
    "neon-lambda-migrator:ISOLATED_SUBNETS",
    "The function's subnets have no way to the internet. It needs one to Neon, to the service that has the connection string, and to S3, where CloudFormation waits for its answer. Name subnets behind a NAT gateway, or acknowledge this when the VPC has endpoints for all three.",
  );
}

/** Leaves out undefined fields: in some places CDK takes `undefined` for a value. */
export function definedOf<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };
export function definedOf(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

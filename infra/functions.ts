import { Annotations, CfnResource, Duration, Reference, Token, Tokenization } from "aws-cdk-lib";
import type { IRole } from "aws-cdk-lib/aws-iam";
import {
  Architecture,
  Code,
  type FunctionProps,
  Function as LambdaFunction,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import { type ILogGroup, LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct, IConstruct } from "constructs";
import { eventAgeOf, RETRY_ATTEMPTS } from "../lib/events/redelivery.ts";
import type { Compiled } from "./compile.ts";
import { databaseUrlEnvironment, onlyDatabaseUrl } from "./database-url.ts";
import { LEAST_MEMORY_MB, refuseUnfit, runOnInstances } from "./managed-instances.ts";
import type { NeonMigrationsProps } from "./props.ts";
import { rehearsalEnvironment } from "./rehearsal.ts";
import { acknowledge, allowThemselves, makeRole } from "./role.ts";

/** The runtimes in which the handler is tested. AWS takes no new functions on older ones. */
const RUNTIMES = [Runtime.NODEJS_24_X, Runtime.NODEJS_22_X];

/** Lambda's limit for the time-out of a standard function. */
const MAX_TIMEOUT_SECONDS = 900;
/** Its limit on Managed Instances. It is that of asynchronous calls: any other ends after 900 s there, too. */
const MAX_INSTANCES_TIMEOUT_SECONDS = 5_400;

/** The deployed functions, with their role and their log. */
export interface Functions {
  /** The function that answers every caller. */
  readonly main: LambdaFunction;
  /** The function that streams its answer; undefined without `streamingUrl` and `streamingFunction`. */
  readonly stream: LambdaFunction | undefined;
  readonly role: IRole;
  readonly logGroup: ILogGroup;
  /** The variables that lead the functions to the database and its ledger. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Makes the functions with their role and their log. The main function's ARN must stay the same from one release of
 * this package to the next: otherwise CloudFormation refuses the custom resource that names it.
 * @throws Error for an unsupported runtime, a time-out that is too long, too little memory, or an invalid database
 */
export function makeFunctions(
  scope: Construct,
  given: NeonMigrationsProps,
  compiled: Compiled,
): Functions {
  refuseUnfit(scope, given);
  const props = { ...given, databaseUrl: onlyDatabaseUrl(scope, given.databaseUrl) };
  const environment = { ...databaseUrlEnvironment(scope, props.databaseUrl), ...ledgerOf(props) };
  const logGroup = logGroupOf(scope, props);
  const role = makeRole(scope, props, logGroup);
  const neon = props.rehearsal === undefined ? {} : rehearsalEnvironment(scope, props.rehearsal);
  const shared = {
    ...settingsOf(scope, props, compiled),
    ...{ environment: { ...environment, ...neon }, logGroup, role },
  };
  const main = new LambdaFunction(scope, "Function", {
    ...shared,
    handler: "index.handler",
    description: "Applies the Drizzle migrations of this deployment to Neon.",
    ...definedOf({ functionName: props.functionName }),
  });
  if (props.capacityProvider !== undefined) runOnInstances(main, props.capacityProvider);
  const streams = props.streamingUrl === true || props.streamingFunction === true;
  const stream = streams ? makeStream(scope, shared, main) : undefined;
  if (props.asyncRuns === true) {
    allowThemselves(scope, role, stream === undefined ? [main] : [main, stream]);
  }
  if (shared.runtime.name !== Runtime.NODEJS_24_X.name) {
    acknowledge(scope, "AwsSolutions-L1", "AWS supports nodejs22.x until April 2027.");
  }
  refuseOpenUrls(scope);
  warnOfIsolation(scope, props);
  return { main, stream, role, logGroup, environment };
}

function makeStream(
  scope: Construct,
  shared: Omit<FunctionProps, "handler">,
  main: LambdaFunction,
): LambdaFunction {
  return new LambdaFunction(scope, "Stream", {
    ...shared,
    handler: "index.stream",
    description: "Applies the same migrations, and tells how far it is while it runs.",
    ...(shared.vpc === undefined ? {} : { securityGroups: main.connections.securityGroups }),
  });
}

function settingsOf(scope: Construct, props: NeonMigrationsProps, compiled: Compiled) {
  return {
    runtime: runtimeOf(scope, props),
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

function logGroupOf(scope: Construct, props: NeonMigrationsProps): ILogGroup {
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

function ledgerOf({ ledger }: NeonMigrationsProps): Readonly<Record<string, string>> {
  const history = ledger?.history;
  return definedOf({
    ...{ LEDGER_SCHEMA: ledger?.schema, LEDGER_TABLE: ledger?.table },
    LEDGER_HISTORY: history === undefined ? undefined : history ? "on" : "off",
  });
}

function runtimeOf(scope: Construct, { runtime }: NeonMigrationsProps): Runtime {
  if (runtime === undefined) return Runtime.NODEJS_24_X;
  if (RUNTIMES.some(({ name }) => name === runtime.name)) return runtime;
  const names = RUNTIMES.map(({ name }) => name).join(" and ");
  throw new Error(`${scope.node.path}: the handler runs on ${names}, not on ${runtime.name}.`);
}

/** Returns Lambda's limit for the function's time-out, in seconds. */
function longestTimeoutOf({ capacityProvider }: NeonMigrationsProps): number {
  return capacityProvider === undefined ? MAX_TIMEOUT_SECONDS : MAX_INSTANCES_TIMEOUT_SECONDS;
}

function memoryOf(
  scope: Construct,
  { capacityProvider, ...props }: NeonMigrationsProps,
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
function timeoutOf(scope: Construct, props: NeonMigrationsProps): Duration {
  const { timeout = Duration.seconds(MAX_TIMEOUT_SECONDS) } = props;
  const longest = longestTimeoutOf(props);
  if (timeout.isUnresolved() || timeout.toSeconds() <= longest) return timeout;
  const more = `, or ${MAX_INSTANCES_TIMEOUT_SECONDS} s with a capacityProvider`;
  throw new Error(
    `${scope.node.path}: timeout is ${timeout.toSeconds()} s, and a Lambda function may run ${longest} s at most${props.capacityProvider === undefined ? more : ""}.`,
  );
}

/** Returns the longest time that the function may run, in seconds; where only the deployment knows it, Lambda's limit. */
export function longestSecondsOf(scope: Construct, props: NeonMigrationsProps): number {
  const timeout = timeoutOf(scope, props);
  return timeout.isUnresolved() ? longestTimeoutOf(props) : timeout.toSeconds();
}

/** An event that nobody waits for any more must not come back. A queued run may wait for as long as Lambda keeps it. */
function eventAge(scope: Construct, props: NeonMigrationsProps): Duration | undefined {
  if (props.asyncRuns === true) return undefined;
  return Duration.seconds(eventAgeOf(longestSecondsOf(scope, props), props.retryAttempts));
}

/** Warns of subnets without a way out: a stack whose function cannot answer waits for its whole time, perhaps twice. */
function warnOfIsolation(scope: Construct, { vpc, vpcSubnets }: NeonMigrationsProps): void {
  if (vpc === undefined) return;
  const { subnets } = vpc.selectSubnets(vpcSubnets);
  if (subnets.length === 0 || !subnets.every((each) => vpc.isolatedSubnets.includes(each))) return;
  Annotations.of(scope).addWarningV2(
    "neon-lambda-migrator:ISOLATED_SUBNETS",
    "The function's subnets have no way to the internet. It needs one to Neon, to the service that has the connection string, and to S3, where CloudFormation waits for its answer. Name subnets behind a NAT gateway, or acknowledge this when the VPC has endpoints for all three.",
  );
}

/** Refuses unsigned URLs, also one that the app adds to a function later: the function may alter every table. */
function refuseOpenUrls(scope: Construct): void {
  scope.node.addValidation({
    validate: () =>
      scope.node.root.node
        .findAll()
        .filter((each) => isOpenUrl(each) && isOfFunctionIn(scope, each))
        .map(
          ({ node }) =>
            `${node.path} would let everyone on the internet run migrations. Its authType must be AWS_IAM.`,
        ),
  });
}

/** Looks at the type's name, because the class may come from another copy of CDK. */
function isOpenUrl(construct: IConstruct): boolean {
  return (
    CfnResource.isCfnResource(construct) &&
    construct.cfnResourceType === "AWS::Lambda::Url" &&
    Reflect.get(construct, "authType") !== "AWS_IAM"
  );
}

function isOfFunctionIn(scope: Construct, url: IConstruct): boolean {
  const arn = Tokenization.reverse(Reflect.get(url, "targetFunctionArn"));
  return Reference.isReference(arn) && arn.target.node.scopes.includes(scope);
}

/** Leaves out undefined fields: in some places CDK takes `undefined` for a value. */
function definedOf<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };
function definedOf(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

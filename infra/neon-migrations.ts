/*
 * The construct for AWS CDK. Props come in, and resources of a stack go out: the function with the bundle in it, its
 * role and log, and the custom resource that fires the function. Nothing here connects to a database or reads a secret.
 * The template holds references only, unless `unsafePlainText` puts the connection string there.
 */

import type { CustomResource } from "aws-cdk-lib";
import type { Alarm, IAlarmAction } from "aws-cdk-lib/aws-cloudwatch";
import type { Connections, IConnectable } from "aws-cdk-lib/aws-ec2";
import { Grant, type IGrantable, type IRole } from "aws-cdk-lib/aws-iam";
import {
  type FunctionUrl,
  FunctionUrlAuthType,
  InvokeMode,
  type Function as LambdaFunction,
} from "aws-cdk-lib/aws-lambda";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import { Construct, type IConstruct } from "constructs";
import { makeAlarm } from "./alarm.ts";
import { compileAndTell } from "./annotate.ts";
import { makeRun } from "./custom-resource.ts";
import { longestSecondsOf } from "./function-settings.ts";
import { type Functions, makeFunctions } from "./functions.ts";
import { withLedger } from "./ledger.ts";
import type { NeonMigrationsProps } from "./props.ts";
import { grantEverywhere } from "./role.ts";

export type {
  DatabaseUrl,
  ParameterDatabaseUrl,
  PlainTextDatabaseUrl,
  SecretDatabaseUrl,
} from "./database-url.ts";
export {
  type FleetInput,
  type FleetTarget,
  type FleetTargets,
  type FleetWave,
  NeonFleet,
  type NeonFleetProps,
} from "./neon-fleet.ts";
export type {
  CheckOptions,
  NeonApiKey,
  NeonMigrationsProps,
  RehearsalOptions,
  RunRequest,
  SecretNeonApiKey,
} from "./props.ts";

/** Callers sign their requests, and IAM says who may call. */
const SIGNED = { authType: FunctionUrlAuthType.AWS_IAM };

/**
 * Runs a Drizzle folder's migrations during the deployment. A Lambda function holds them, and a custom resource fires
 * the function when they have changed, or the database, the request or the time-out has. Code that needs the new schema is deployed behind it:
 * `migrations.executeBefore(service)`.
 */
export class NeonMigrations extends Construct implements IConnectable, IGrantable {
  /** The function, for pipelines and hooks. Its ARN is the same in every deployment. */
  readonly function: LambdaFunction;
  /** The log group that gets the report of each run. */
  readonly logGroup: ILogGroup;
  /** Present when `functionUrl` was asked for. */
  readonly functionUrl: FunctionUrl | undefined;
  /** Present when `streamingUrl` was asked for. */
  readonly streamingUrl: FunctionUrl | undefined;
  /** Present when `streamingUrl` or `streamingFunction` was asked for. */
  readonly streamingFunction: LambdaFunction | undefined;
  /** SHA-256 of the migrations, known at synth. It changes when, and only when, the migrations do. */
  readonly migrationsHash: string;
  /** The function's role, so that a grant to the construct is a grant to the function. */
  readonly grantPrincipal: IRole;
  readonly #functions: Functions;
  readonly #longestS: number;
  readonly #run: CustomResource | undefined;
  #alarm: Alarm | undefined;

  constructor(scope: Construct, id: string, props: NeonMigrationsProps) {
    super(scope, id);
    const compiled = compileAndTell(this, props);
    const { summary } = compiled;
    this.#functions = makeFunctions(this, withLedger(this, props, summary.project), compiled);
    this.#longestS = longestSecondsOf(this, props);
    const { main, stream, role, logGroup } = this.#functions;
    this.function = main;
    this.logGroup = logGroup;
    this.grantPrincipal = role;
    this.functionUrl = props.functionUrl === true ? main.addFunctionUrl(SIGNED) : undefined;
    this.streamingFunction = stream;
    this.streamingUrl =
      props.streamingUrl === true
        ? stream?.addFunctionUrl({ ...SIGNED, invokeMode: InvokeMode.RESPONSE_STREAM })
        : undefined;
    this.migrationsHash = summary.hash;
    this.#run =
      props.runOnDeploy === false ? undefined : makeRun(this, this.#functions, props, summary.hash);
  }

  /** The status of the run: `applied` or `up-to-date`. */
  get status(): string {
    return this.#attribute("status");
  }

  /** How many migrations this deployment applied. */
  get appliedCount(): string {
    return this.#attribute("appliedCount");
  }

  /** How many migrations are left to apply. */
  get pendingCount(): string {
    return this.#attribute("pendingCount");
  }

  /** Tag of the newest applied migration. */
  get latest(): string {
    return this.#attribute("latest");
  }

  /** The executor of the run: `drizzle`, `statements`, or empty where nothing was applied. */
  get executor(): string {
    return this.#attribute("executor");
  }

  /** `true` where the database has migrations that this deployment lacks, as after a rollback. */
  get ahead(): string {
    return this.#attribute("ahead");
  }

  /** The run's request id, under which the log has its report. */
  get requestId(): string {
    return this.#attribute("requestId");
  }

  /** The custom resource. */
  get resource(): CustomResource {
    if (this.#run !== undefined) return this.#run;
    throw new Error(
      `${this.node.path}: with runOnDeploy: false no deployment applies the migrations, so nothing can wait for it or read of it.`,
    );
  }

  /** Network connections of the function, which must be in a VPC. */
  get connections(): Connections {
    return this.function.connections;
  }

  /**
   * Deploys these constructs only after the migrations have been applied.
   * @throws Error for a construct that contains the migrations
   */
  executeBefore(...scopes: readonly IConstruct[]): void {
    for (const scope of scopes) this.#apartFrom(scope).node.addDependency(this.resource);
  }

  /**
   * Applies the migrations only after these constructs have been deployed.
   * @throws Error for a construct that contains the migrations
   */
  executeAfter(...scopes: readonly IConstruct[]): void {
    for (const scope of scopes) this.resource.node.addDependency(this.#apartFrom(scope));
  }

  /** Lets a pipeline or a person invoke the function. */
  grantInvoke(grantee: IGrantable): Grant {
    return this.function.grantInvoke(grantee);
  }

  /** Lets the function answer a pipeline that CDK has not made. CDK's `LambdaInvokeAction` grants this by itself. */
  grantPipelineResults(): void {
    grantEverywhere(
      this.grantPrincipal,
      ["codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult"],
      "CodePipeline's job actions know no resources.",
    );
  }

  /**
   * Lets the function answer a deployment group that CDK has not made. CDK's `addPreHook` grants this by itself.
   * @param deploymentGroupArn the ARN of CodeDeploy's deployment group
   */
  grantDeploymentHooks(deploymentGroupArn: string): Grant {
    return Grant.addToPrincipal({
      grantee: this,
      actions: ["codedeploy:PutLifecycleEventHookExecutionStatus"],
      resourceArns: [deploymentGroupArn],
    });
  }

  /** Makes an alarm on failed runs, whoever fired them. Another call adds more actions to the same alarm. */
  alarmOnFailure(...actions: readonly IAlarmAction[]): Alarm {
    this.#alarm ??= makeAlarm(this, this.#functions, this.#longestS);
    this.#alarm.addAlarmAction(...actions);
    return this.#alarm;
  }

  /** Refuses a construct that contains this one. CDK accepts it, and CloudFormation refuses it, or nothing waits. */
  #apartFrom(scope: IConstruct): IConstruct {
    if (!this.node.scopes.includes(scope)) return scope;
    throw new Error(
      `${this.node.path}: ${scope.node.path || "the app"} contains these migrations, so neither can wait for the other. Name what in it is to wait or to come first.`,
    );
  }

  #attribute(name: string): string {
    return this.resource.getAttString(name);
  }
}

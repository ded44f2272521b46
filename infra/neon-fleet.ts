/*
 * The construct for a fleet: one database per tenant. Props come in, and resources of a stack go out: the function of
 * `NeonMigrations` with the same asset and without a database of its own, the state machine that calls it once per tenant
 * (`fleet.asl.json`), and a bucket for lists and reports. Nothing in a stack waits for a fleet.
 */

import type { Alarm, IAlarmAction } from "aws-cdk-lib/aws-cloudwatch";
import type { IRuleTarget } from "aws-cdk-lib/aws-events";
import { Grant, type IGrantable, type IRole } from "aws-cdk-lib/aws-iam";
import type { Function as LambdaFunction, Version } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { compileAndTell } from "./annotate.ts";
import { acknowledgePrefixes } from "./fleet/acknowledge.ts";
import { makeAlarm } from "./fleet/alarm.ts";
import { LISTS, makeBucket } from "./fleet/bucket.ts";
import { checkInput } from "./fleet/check-input.ts";
import { type FleetFunction, makeFunction } from "./fleet/function.ts";
import { executionsOf, makeMachine } from "./fleet/machine.ts";
import type { NeonFleetProps } from "./fleet/props.ts";
import { makeStarts, startTarget } from "./fleet/start.ts";
import { withLedger } from "./ledger.ts";

export type {
  FleetInput,
  FleetTarget,
  FleetTargets,
  FleetWave,
} from "./fleet/input.ts";
export type { NeonFleetProps } from "./fleet/props.ts";

/**
 * Migrates one database per tenant, thousands of them, in waves: by the command line, a schedule, or behind each deployment,
 * which does not wait for it.
 */
export class NeonFleet extends Construct implements IGrantable {
  /** The state machine. `neon-migrate fleet start --machine` takes its ARN. */
  readonly machine: StateMachine;
  /** The bucket with the lists, the reports and the fleet's ledger. */
  readonly bucket: Bucket;
  /** The function that migrates one tenant. */
  readonly function: LambdaFunction;
  /** The version that the machine calls. A run keeps it to its end, whatever is deployed meanwhile. */
  readonly version: Version;
  /** The log group of the function. */
  readonly logGroup: ILogGroup;
  /** SHA-256 of the migrations, known at synth. */
  readonly migrationsHash: string;
  /** The function's role, so that a grant to the construct, such as on a bucket with the list, is a grant to the function. */
  readonly grantPrincipal: IRole;
  readonly #props: NeonFleetProps;
  readonly #function: FleetFunction;
  #alarm: Alarm | undefined;

  constructor(scope: Construct, id: string, props: NeonFleetProps) {
    super(scope, id);
    const compiled = compileAndTell(this, props);
    const { summary } = compiled;
    this.#props = withLedger(this, props, summary.project);
    this.bucket = makeBucket(this, props);
    this.#function = makeFunction(this, this.#props, compiled, this.bucket);
    checkInput(this, props);
    this.machine = makeMachine(this, this.#function, this.bucket);
    makeStarts(this, this.machine, props);
    acknowledgePrefixes(this);
    const { main, version, role, logGroup } = this.#function;
    this.function = main;
    this.version = version;
    this.logGroup = logGroup;
    this.grantPrincipal = role;
    this.migrationsHash = summary.hash;
  }

  /**
   * Makes the target of a rule that starts the fleet with its `input`, such as
   * `pipeline.onStateChange("Deployed", { target: fleet.startTarget() })`.
   * @throws Error without `input`
   */
  startTarget(): IRuleTarget {
    return startTarget(this, this.machine, this.#props);
  }

  /** Lets a pipeline or a person start the fleet, bring a list along, and stop it. */
  grantStart(grantee: IGrantable): Grant {
    this.machine.grantExecution(
      grantee,
      ...["states:StopExecution", "states:DescribeExecution", "states:GetExecutionHistory"],
    );
    // Of two runs at once the second is refused, and the first is followed.
    this.machine.grant(grantee, "states:ListExecutions");
    this.bucket.grantPut(grantee, `${LISTS}*`);
    return this.machine.grantStartExecution(grantee);
  }

  /**
   * Lets a pipeline or a person see how far the fleet is, and read its reports: what `fleet status` and `report` do. The report
   * of a run that was stopped is made by the function: that takes `fleet.version.grantInvoke(…)`, too, which is a right to migrate.
   */
  grantRead(grantee: IGrantable): Grant {
    this.bucket.grantRead(grantee);
    return Grant.addToPrincipal({
      grantee,
      actions: [
        "states:ListExecutions",
        "states:ListMapRuns",
        "states:DescribeExecution",
        "states:DescribeMapRun",
        "states:GetExecutionHistory",
      ],
      resourceArns: [this.machine.stateMachineArn, ...executionsOf(this.machine)],
    });
  }

  /** Makes an alarm on a fleet that is not through. Another call adds more actions to the same alarm. */
  alarmOnPartial(...actions: readonly IAlarmAction[]): Alarm {
    this.#alarm ??= makeAlarm(this, this.machine, this.#function);
    this.#alarm.addAlarmAction(...actions);
    return this.#alarm;
  }
}

import { Stack } from "aws-cdk-lib";
import { type IRuleTarget, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { SfnStateMachine } from "aws-cdk-lib/aws-events-targets";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { NeonFleetProps } from "./props.ts";

/** The ends of a deployment that went well. */
const DEPLOYED = ["CREATE_COMPLETE", "UPDATE_COMPLETE"];

/**
 * Makes the rules that start the fleet by themselves. Behind a deployment it is CloudFormation's own event that starts it,
 * and no resource of the stack: nothing in the stack waits for a fleet.
 * @throws Error for a start without `input`
 */
export function makeStarts(scope: Construct, machine: StateMachine, props: NeonFleetProps): void {
  const { schedule, startOnDeploy = false } = props;
  if (schedule !== undefined) {
    new Rule(scope, "Schedule", { schedule, targets: [startTarget(scope, machine, props)] });
  }
  if (!startOnDeploy) return;
  new Rule(scope, "Deployed", {
    eventPattern: {
      source: ["aws.cloudformation"],
      detailType: ["CloudFormation Stack Status Change"],
      detail: { "stack-id": [Stack.of(scope).stackId], "status-details": { status: DEPLOYED } },
    },
    targets: [startTarget(scope, machine, props)],
  });
}

/**
 * Makes the target of a rule that starts the fleet.
 * @throws Error without `input`
 */
export function startTarget(
  scope: Construct,
  machine: StateMachine,
  { input }: Pick<NeonFleetProps, "input">,
): IRuleTarget {
  if (input === undefined) {
    throw new Error(
      `${scope.node.path}: nobody says which tenants a start by itself is for. Add input: { targets: { s3: { bucket, key } } }.`,
    );
  }
  return new SfnStateMachine(machine, { input: RuleTargetInput.fromObject(input) });
}

import { CfnResource, Token } from "aws-cdk-lib";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import type { NeonMigrationsProps } from "./props.ts";

/** The smallest memory that Lambda Managed Instances give a function, in MB. */
export const LEAST_MEMORY_MB = 2_048;

/**
 * Runs a function on Lambda Managed Instances. The property goes by its name in the template, because the class for it
 * came with CDK 2.231. An environment gets one call at a time: a run hears the uncaught errors of its whole process.
 */
export function runOnInstances(
  lambda: LambdaFunction,
  { capacityProviderArn }: { readonly capacityProviderArn: string },
): void {
  const { defaultChild } = lambda.node;
  if (!CfnResource.isCfnResource(defaultChild)) return;
  defaultChild.addPropertyOverride("CapacityProviderConfig", {
    LambdaManagedInstancesCapacityProviderConfig: {
      CapacityProviderArn: capacityProviderArn,
      PerExecutionEnvironmentMaxConcurrency: 1,
    },
  });
  // Callers name the function without a version, and Lambda then calls this one.
  defaultChild.addPropertyOverride("PublishToLatestPublished", true);
}

/**
 * Refuses settings that Lambda would refuse during the deployment, or that would do nothing.
 * @throws Error that names the property
 */
export function refuseUnfit(scope: Construct, props: NeonMigrationsProps): void {
  if (props.streamingUrl === true && props.vpc !== undefined) {
    throw new Error(
      `${scope.node.path}: streamingUrl does not stream in a vpc: Lambda's function URLs cannot. Ask for streamingFunction instead, and follow it with neon-migrate invoke <function> --tail, which can.`,
    );
  }
  if (Token.isUnresolved(props.retryAttempts)) {
    throw new Error(
      `${scope.node.path}: retryAttempts must be known at synth, because the time for which CloudFormation waits depends on it. Write 0, 1 or 2.`,
    );
  }
  if (props.capacityProvider === undefined) return;
  const { memorySize = LEAST_MEMORY_MB } = props;
  const problem = onInstances(props);
  if (problem !== undefined) throw new Error(`${scope.node.path}: ${problem}`);
  if (!Token.isUnresolved(memorySize) && memorySize < LEAST_MEMORY_MB) {
    throw new Error(
      `${scope.node.path}: memorySize is ${memorySize} MB, and a function with a capacityProvider has ${LEAST_MEMORY_MB} MB at least.`,
    );
  }
}

function onInstances({
  vpc,
  vpcSubnets,
  securityGroups,
  streamingUrl,
  streamingFunction,
}: NeonMigrationsProps): string | undefined {
  if (vpc !== undefined || vpcSubnets !== undefined || securityGroups !== undefined) {
    return "the network is that of the capacityProvider. Name its subnets and security groups there, and leave vpc, vpcSubnets and securityGroups out.";
  }
  if (streamingUrl === true || streamingFunction === true) {
    return "a streamed answer ends after 15 minutes on a capacityProvider, too. Leave streamingUrl and streamingFunction out, or the capacityProvider.";
  }
  return undefined;
}

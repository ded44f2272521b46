import { Validations } from "aws-cdk-lib";
import { type IRole, Policy, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { type IFunction, Tracing } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct, IConstruct } from "constructs";
import { grantDatabaseUrl } from "./database-url.ts";
import type { NeonMigrationsProps } from "./props.ts";
import { grantApiKey } from "./rehearsal.ts";

/** The actions by which a function in a VPC gets its network interfaces. */
const NETWORK_INTERFACES = [
  "ec2:CreateNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:DeleteNetworkInterface",
  "ec2:AssignPrivateIpAddresses",
  "ec2:UnassignPrivateIpAddresses",
];

/** Makes the function's role. It may write its log, read its connection string, and do what the props ask for. */
export function makeRole(scope: Construct, props: NeonMigrationsProps, logGroup: ILogGroup): Role {
  const role = functionRole(scope, logGroup);
  grantDatabaseUrl(scope, props.databaseUrl, role);
  if (props.rehearsal !== undefined) grantApiKey(scope, props.rehearsal.apiKey, role);
  grantSurroundings(role, props);
  return role;
}

/** Makes the role of a function. It may write its log. */
export function functionRole(scope: Construct, logGroup: ILogGroup): Role {
  const role = new Role(scope, "Role", { assumedBy: new ServicePrincipal("lambda.amazonaws.com") });
  logGroup.grantWrite(role);
  return role;
}

/** Lets a function have its network interfaces and its traces, where it has any. */
export function grantSurroundings(
  role: IRole,
  { vpc, tracing }: Pick<NeonMigrationsProps, "vpc" | "tracing">,
): void {
  if (vpc !== undefined) {
    grantEverywhere(role, NETWORK_INTERFACES, "Network interfaces have no ARN before they exist.");
  }
  if (tracing !== undefined && tracing !== Tracing.DISABLED) {
    acknowledgeEverywhere(role, "X-Ray's actions know no resources.");
  }
}

/**
 * Lets functions invoke themselves, by a policy of its own. The functions wait for the policy of their role, so that
 * policy cannot name them.
 */
export function allowThemselves(
  scope: Construct,
  role: IRole,
  functions: readonly IFunction[],
): void {
  const statement = new PolicyStatement({
    actions: ["lambda:InvokeFunction"],
    resources: functions.map(({ functionArn }) => functionArn),
  });
  new Policy(scope, "InvokeItself", { roles: [role], statements: [statement] });
}

/** Allows actions that cannot be narrowed down to a resource. */
export function grantEverywhere(role: IRole, actions: readonly string[], reason: string): void {
  role.addToPrincipalPolicy(new PolicyStatement({ actions: [...actions], resources: ["*"] }));
  acknowledgeEverywhere(role, reason);
}

function acknowledgeEverywhere(role: IRole, reason: string): void {
  acknowledge(role, "AwsSolutions-IAM5[Resource::*]", reason);
}

/** Tells cdk-nag 3 why a rule is broken. An older CDK has no way to say it. */
export function acknowledge(construct: IConstruct, id: string, reason: string): void {
  const validations: typeof Validations | undefined = Validations;
  validations?.of(construct).acknowledge({ id, reason });
}

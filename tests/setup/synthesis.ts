import { App, Stack, type StackProps } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { type IVpc, Vpc } from "aws-cdk-lib/aws-ec2";
import { type ISecret, Secret, type SecretProps } from "aws-cdk-lib/aws-secretsmanager";
import type { Construct } from "constructs";
import { NeonMigrations, type NeonMigrationsProps } from "../../infra/neon-migrations.ts";

/** A stack with the construct in it. */
export interface Scene {
  readonly stack: Stack;
  readonly secret: ISecret;
  readonly migrations: NeonMigrations;
}

type Props = Partial<NeonMigrationsProps>;

/**
 * Makes the construct at the path `Shop/Migrations`, with the example's migrations, and without `check`.
 * @param props more props, or a function that makes them for the stack
 */
export function scene(
  props: Props | ((stack: Stack) => Props) = {},
  stackProps: StackProps = {},
  scope: Construct = new App(),
): Scene {
  const stack = new Stack(scope, "Shop", stackProps);
  const secret = Secret.fromSecretNameV2(stack, "Secret", "shop/database-url");
  const migrations = new NeonMigrations(stack, "Migrations", {
    migrations: "drizzle",
    databaseUrl: { secret },
    check: false,
    ...(typeof props === "function" ? props(stack) : props),
  });
  return { stack, secret, migrations };
}

/** Makes a secret in the stack. */
export function ownSecret(stack: Stack, props: SecretProps = {}): ISecret {
  // CDK's types are not exact about optional properties.
  return new Secret(stack, "OwnSecret", props) as ISecret;
}

/** Makes a VPC in the stack, with private subnets in two zones. */
export function ownVpc(stack: Stack): IVpc {
  return new Vpc(stack, "Vpc", { maxAzs: 2 }) as IVpc;
}

/** Returns every statement of every policy in a stack. */
export function grantsIn(stack: Stack): readonly unknown[] {
  return Object.values(Template.fromStack(stack).findResources("AWS::IAM::Policy")).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );
}

/** Returns the properties of a custom resource, as CloudFormation sends them. */
export function runOf(stack: Stack, id = "Migrations"): Readonly<Record<string, unknown>> {
  const runs = Template.fromStack(stack).findResources("Custom::NeonMigrations");
  const found = Object.entries(runs).find(([logicalId]) => logicalId.startsWith(`${id}Run`));
  return found?.[1].Properties;
}

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
 * The construct at the path `Shop/Migrations`, with the example's migrations and no look at their findings.
 * @param props what a test adds, or what makes it within the stack
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

/** A secret that the stack itself makes. */
export function ownSecret(stack: Stack, props: SecretProps = {}): ISecret {
  // CDK's own types are not exact about optional properties.
  return new Secret(stack, "OwnSecret", props) as ISecret;
}

/** A VPC that the stack itself makes, with private subnets in two zones. */
export function ownVpc(stack: Stack): IVpc {
  return new Vpc(stack, "Vpc", { maxAzs: 2 }) as IVpc;
}

/** Every statement of every policy in a stack. */
export function grantsIn(stack: Stack): readonly unknown[] {
  return Object.values(Template.fromStack(stack).findResources("AWS::IAM::Policy")).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );
}

/** The properties of a custom resource, as CloudFormation sends them. */
export function runOf(stack: Stack, id = "Migrations"): Readonly<Record<string, unknown>> {
  const runs = Template.fromStack(stack).findResources("Custom::NeonMigrations");
  const found = Object.entries(runs).find(([logicalId]) => logicalId.startsWith(`${id}Run`));
  return found?.[1].Properties;
}

import { CfnOutput, Stack, type StackProps } from "aws-cdk-lib";
import { Code, Function as LambdaFunction, Runtime } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import type { Construct } from "constructs";
import { NeonMigrations } from "../neon-migrations.ts";

/** A service whose new code goes live only after its schema is there. */
export class ExampleStack extends Stack {
  readonly migrations: NeonMigrations;

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const secret = Secret.fromSecretNameV2(this, "DatabaseUrl", "example/database-url");
    const migrations = new NeonMigrations(this, "Migrations", {
      migrations: "drizzle",
      databaseUrl: { secret },
      functionUrl: true,
      // The example's older migrations are there to show findings; here only newer ones count.
      check: { since: "0010_index_foreign_keys", failOn: "error" },
    });
    const service = new LambdaFunction(this, "Service", {
      runtime: Runtime.NODEJS_24_X,
      handler: "index.handler",
      code: Code.fromInline("exports.handler = async () => process.env.SCHEMA_VERSION;"),
      environment: { SCHEMA_VERSION: migrations.latest },
    });
    migrations.executeBefore(service);
    migrations.alarmOnFailure();
    this.migrations = migrations;
    new CfnOutput(this, "AppliedMigrations", { value: migrations.appliedCount });
  }
}

/*
 * The app that `neon-migrate smoke` deploys: one stack with the migrations of a scratch schema. The file of its settings is
 * the first argument. Deleting the stack deletes all of it.
 */

import { readFileSync } from "node:fs";
import { App, CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Key } from "aws-cdk-lib/aws-kms";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { type DatabaseUrl, NeonMigrations } from "../neon-migrations.ts";
import type { SmokeSettings } from "./settings.ts";

const settings: SmokeSettings = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
const stack = new Stack(new App(), settings.stack, {
  description: "The smoke test of neon-lambda-migrator. It can be deleted at any time.",
});
const migrations = new NeonMigrations(stack, "Migrations", {
  ...{ migrations: settings.folder, config: false, check: false },
  databaseUrl: databaseUrl(settings),
  ledger: { schema: settings.schema },
  logRemovalPolicy: RemovalPolicy.DESTROY,
  // CloudFormation waits for so long where the function cannot answer.
  timeout: Duration.minutes(2),
  retryAttempts: 0,
});
new CfnOutput(stack, "Function", { value: migrations.function.functionArn });
new CfnOutput(stack, "Applied", { value: migrations.appliedCount });

function databaseUrl({ from, id, field, key }: SmokeSettings): DatabaseUrl {
  const encryption = key === null ? {} : { encryptionKey: Key.fromKeyArn(stack, "Key", key) };
  if (from === "secret") {
    return { secret: secretOf(id), ...encryption, ...(field === null ? {} : { field }) };
  }
  const parameter = id.startsWith("arn:")
    ? StringParameter.fromStringParameterArn(stack, "Parameter", id)
    : StringParameter.fromSecureStringParameterAttributes(stack, "Parameter", {
        parameterName: id,
      });
  return { parameter, ...encryption };
}

/** An ARN ends with six random characters, or was cut off before them. */
function secretOf(id: string) {
  if (!id.startsWith("arn:")) return Secret.fromSecretNameV2(stack, "Secret", id);
  const isWhole = /-[A-Za-z0-9]{6}$/.test(id);
  return isWhole
    ? Secret.fromSecretCompleteArn(stack, "Secret", id)
    : Secret.fromSecretPartialArn(stack, "Secret", id);
}

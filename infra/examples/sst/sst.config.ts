/// <reference path="./.sst/platform/config.d.ts" />

// neon-migrate bundle --out asset
// sst deploy --stage production (SST 4; an app that SST 3 made needs `sst refresh` before)

export default $config({
  app: () => ({ name: "shop", home: "aws" }),

  async run() {
    const { readFileSync } = await import("node:fs");
    const { join } = await import("node:path");
    const asset = join($cli.paths.root, "asset");
    const { hash } = JSON.parse(readFileSync(join(asset, "bundle.json"), "utf8"));
    const secret = aws.secretsmanager.getSecretOutput({ name: "shop/database-url" });

    const role = new aws.iam.Role("MigrationsRole", {
      assumeRolePolicy: aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" }),
    });
    const log = new aws.iam.RolePolicyAttachment("MigrationsLog", {
      role: role.name,
      policyArn: aws.iam.ManagedPolicy.AWSLambdaBasicExecutionRole,
    });
    const readSecret = new aws.iam.RolePolicy("MigrationsReadSecret", {
      role: role.name,
      policy: aws.iam.getPolicyDocumentOutput({
        statements: [{ actions: ["secretsmanager:GetSecretValue"], resources: [secret.arn] }],
      }).json,
    });

    const migrations = new aws.lambda.Function("Migrations", {
      description: "Applies the Drizzle migrations of this deployment to Neon.",
      role: role.arn,
      runtime: "nodejs24.x",
      architectures: ["arm64"],
      handler: "index.handler",
      code: new $util.asset.FileArchive(asset),
      memorySize: 512,
      timeout: 900,
      environment: { variables: { DATABASE_URL_SECRET: secret.arn } },
    });

    // For events that are queued, such as a pipeline's jobs: only a process that died is repeated.
    new aws.lambda.FunctionEventInvokeConfig("MigrationsRedelivery", {
      functionName: migrations.name,
      maximumRetryAttempts: 1,
      maximumEventAgeInSeconds: 1020,
    });

    // A resource that needs the new schema says `{ dependsOn: [migrated] }`.
    const migrated = new aws.lambda.Invocation(
      "Migrated",
      {
        functionName: migrations.name,
        input: JSON.stringify({ action: "up", migrationsHash: hash }),
        triggers: { migrations: hash },
      },
      { dependsOn: [log, readSecret] },
    );

    return { latestMigration: migrated.result.apply((report) => JSON.parse(report).latest) };
  },
});

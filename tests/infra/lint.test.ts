import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { App, Stack, Validations } from "aws-cdk-lib";
import { Schedule } from "aws-cdk-lib/aws-events";
import { type IKey, Key } from "aws-cdk-lib/aws-kms";
import { Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { AwsSolutionsChecks } from "cdk-nag";
import { afterEach, describe, expect, test, vi } from "vitest";
import { NeonFleet } from "../../infra/neon-migrations.ts";
import { ownVpc, type Scene, scene } from "../setup/synthesis.ts";

interface Violation {
  readonly ruleName: string;
  readonly violatingConstructs: readonly { readonly constructPath: string }[];
}

interface Report {
  readonly violations: readonly Violation[];
}

afterEach(() => vi.restoreAllMocks());

function withEverything(app: App): Scene {
  const made = scene(
    (stack) => ({
      databaseUrl: {
        parameter: StringParameter.fromSecureStringParameterAttributes(stack, "Url", {
          parameterName: "/shop/url",
        }),
      },
      request: { transaction: "each", lockTimeoutMs: 5_000 },
      rehearsal: {
        apiKey: { secret: Secret.fromSecretNameV2(stack, "NeonKey", "shop/neon") },
        projectId: "late-frost-12345678",
      },
      ledger: { table: "migrations" },
      alwaysRun: true,
      functionUrl: true,
      streamingFunction: true,
      asyncRuns: true,
      runtime: Runtime.NODEJS_22_X,
      tracing: Tracing.ACTIVE,
      vpc: ownVpc(stack),
    }),
    {},
    app,
  );
  made.migrations.alarmOnFailure();
  made.migrations.grantPipelineResults();
  return made;
}

/** The rules that cdk-nag finds broken, each with the construct that breaks it. */
function violationsIn(app: App): readonly string[] {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    app.synth();
  } catch {
    // A violation stops the synthesis; which one, the report says.
  }
  const { pluginReports } = JSON.parse(
    readFileSync(join(app.outdir, "validation-report.json"), "utf8"),
  );
  const violations: readonly Violation[] = pluginReports.flatMap(
    ({ violations }: Report) => violations,
  );
  return violations.flatMap(({ ruleName, violatingConstructs }) =>
    violatingConstructs.map(({ constructPath }) => `${ruleName} ${constructPath}`),
  );
}

/** A stack with a fleet, and with everything that may be asked for beside it. */
function withFleet(app: App): void {
  const stack = new Stack(app, "Shop");
  const fleet = new NeonFleet(stack, "Fleet", {
    migrations: "drizzle",
    check: false,
    targets: ["parameter:/tenants/*", "secret:tenants/*", "database:tenant_*", "neon:*"],
    databaseUrl: { secret: Secret.fromSecretNameV2(stack, "Server", "shop/server") },
    neonApiKey: { secret: Secret.fromSecretNameV2(stack, "NeonKey", "shop/neon") },
    input: { targets: { s3: { bucket: "shop-tenants", key: "tenants.jsonl" } } },
    schedule: Schedule.expression("rate(1 day)"),
    startOnDeploy: true,
    bucketKey: new Key(stack, "Key", { enableKeyRotation: true }) as IKey,
  });
  fleet.alarmOnPartial();
}

describe("GIVEN cdk-nag's rules for AWS solutions", () => {
  test("WHEN nothing but migrations and a secret is given THEN there is nothing to say", () => {
    const app = new App();
    scene({}, {}, app);

    expect(violationsIn(app)).toEqual([]);
  });

  test("WHEN everything is asked for THEN only the test's own VPC is found at fault", () => {
    const app = new App();
    withEverything(app);

    expect(violationsIn(app)).toEqual(["AwsSolutions-VPC7 Shop/Vpc/Resource"]);
  });

  test("WHEN there is a fleet THEN nothing is found but rights by prefix, each with its reason", () => {
    const app = new App();
    withFleet(app);

    expect(violationsIn(app)).toEqual([]);
  });
});

/** cfn-lint's schema of state machines knows numbers here, and none of JSONata's expressions. */
const UNKNOWN_TO_CFN_LINT = /E3601:'{% \$plan\.waves.* is not of type '(?:number|integer)'/;

test("GIVEN cfn-lint WHEN it reads the templates THEN it finds nothing but CDK's redundant dependencies", (context) => {
  const apps = [new App(), new App(), new App()] as const;
  scene({}, {}, apps[0]);
  withEverything(apps[1]);
  withFleet(apps[2]);
  const templates = apps.map((app) => app.synth().getStackByName("Shop").templateFullPath);
  const { stdout, status } = spawnSync(
    "cfn-lint",
    ["--format", "parseable", "--ignore-checks", "W3005", "--", ...templates],
    { encoding: "utf8" },
  );

  context.skip(status === null || status === 127, "This machine has no cfn-lint.");
  const found = stdout.split("\n").filter((line) => !UNKNOWN_TO_CFN_LINT.test(line));
  expect(found.join("\n").trim()).toBe("");
});

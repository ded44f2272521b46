import { App, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { expect, test } from "vitest";
import { ExampleStack } from "../../infra/example-stack.ts";
import { NeonMigrations } from "../../infra/neon-migrations.ts";

const template = Template.fromStack(new ExampleStack(new App(), "Example"));

test("GIVEN the example WHEN synthesised THEN the function is what the documentation says", () => {
  template.hasResourceProperties("AWS::Lambda::Function", {
    Runtime: "nodejs24.x",
    Architectures: ["arm64"],
    Timeout: 900,
    Environment: { Variables: { DATABASE_URL_SECRET: Match.anyValue() } },
  });
  template.hasResourceProperties("AWS::Lambda::EventInvokeConfig", { MaximumRetryAttempts: 0 });
  template.hasResourceProperties("AWS::Lambda::Url", { AuthType: "AWS_IAM" });
});

test("GIVEN the example WHEN synthesised THEN the run has a hash, a time-out, and comes before the service", () => {
  template.hasResourceProperties("Custom::NeonMigrations", {
    MigrationsHash: Match.stringLikeRegexp("^[0-9a-f]{64}$"),
    ServiceTimeout: "960",
  });
  const [run] = Object.keys(template.findResources("Custom::NeonMigrations"));
  template.hasResource("AWS::Lambda::Function", {
    Properties: {
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Code: { ZipFile: Match.anyValue() },
    },
    DependsOn: Match.arrayWith([run]),
  });
});

test("GIVEN the example WHEN synthesised THEN the role may read this secret and no other", () => {
  const policies = template.findResources("AWS::IAM::Policy");
  const statements = Object.values(policies).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );

  expect(statements).toHaveLength(1);
  expect(statements[0].Action).toEqual([
    "secretsmanager:GetSecretValue",
    "secretsmanager:DescribeSecret",
  ]);
  expect(JSON.stringify(statements[0].Resource)).toContain("example/database-url-??????");
});

test("GIVEN a parameter and policies WHEN synthesised THEN the template holds its name and the request", () => {
  const stack = new Stack(new App(), "WithParameter");
  const parameter = StringParameter.fromSecureStringParameterAttributes(stack, "Parameter", {
    parameterName: "/shop/database-url",
  });
  new NeonMigrations(stack, "Migrations", {
    migrations: "drizzle",
    databaseUrl: { parameter },
    request: { outOfOrder: "apply", lockTimeoutMs: 5_000 },
  });
  const synthesised = Template.fromStack(stack);

  synthesised.hasResourceProperties("AWS::Lambda::Function", {
    Environment: { Variables: { DATABASE_URL_PARAMETER: "/shop/database-url" } },
  });
  synthesised.hasResourceProperties("Custom::NeonMigrations", {
    outOfOrder: "apply",
    lockTimeoutMs: 5_000,
  });
  synthesised.resourceCountIs("AWS::Lambda::Url", 0);
});

test("GIVEN two syntheses WHEN nothing changed THEN asset and hash are the same", () => {
  const again = Template.fromStack(new ExampleStack(new App(), "Example"));

  expect(again.toJSON()).toEqual(template.toJSON());
});

test("GIVEN a broken folder WHEN synthesised THEN it fails with the code, the file and the line", () => {
  const stack = new Stack(new App(), "Broken");
  const secret = Secret.fromSecretNameV2(stack, "Secret", "x");
  const make = () =>
    new NeonMigrations(stack, "Migrations", {
      migrations: "tests/fixtures/folders/sql-invalid",
      databaseUrl: { secret },
    });

  expect(make).toThrow(/SQL_INVALID.*\.sql/s);
});

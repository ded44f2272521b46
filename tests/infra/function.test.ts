import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { type IVpc, SecurityGroup, SubnetType, Vpc } from "aws-cdk-lib/aws-ec2";
import {
  Architecture,
  Code,
  FunctionUrl,
  FunctionUrlAuthType,
  Function as LambdaFunction,
  Runtime,
  Tracing,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { describe, expect, test } from "vitest";
import type { NeonMigrations, NeonMigrationsProps } from "../../infra/neon-migrations.ts";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import { grantsIn, ownVpc, runOf, scene } from "../setup/synthesis.ts";

const functionOf = (stack: Stack) => {
  const found = Template.fromStack(stack).findResources("AWS::Lambda::Function");
  return Object.values(found)[0]?.Properties;
};

describe("GIVEN a function", () => {
  test("WHEN nothing is said of it THEN it is what the documentation says", () => {
    const { stack } = scene();

    expect(functionOf(stack)).toEqual({
      Architectures: ["arm64"],
      Code: expect.anything(),
      Description: "Applies the Drizzle migrations of this deployment to Neon.",
      Environment: { Variables: { DATABASE_URL_SECRET: expect.anything() } },
      Handler: "index.handler",
      LoggingConfig: { LogGroup: { Ref: "MigrationsLog2206773E" } },
      MemorySize: 512,
      Role: { "Fn::GetAtt": ["MigrationsRoleDFBDEDC1", "Arn"] },
      Runtime: "nodejs24.x",
      Timeout: 900,
    });
  });

  test.each<[string, Partial<NeonMigrationsProps>, object, string]>([
    [
      "nothing is said",
      {},
      { MaximumRetryAttempts: RETRY_ATTEMPTS, MaximumEventAgeInSeconds: 1_020 },
      "1920",
    ],
    [
      "it may run five minutes",
      { timeout: Duration.minutes(5) },
      { MaximumRetryAttempts: 1, MaximumEventAgeInSeconds: 420 },
      "720",
    ],
    [
      "twice is asked for",
      { retryAttempts: 2 },
      { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 2_040 },
      "2940",
    ],
    [
      "none is asked for",
      { retryAttempts: 0 },
      { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
      "960",
    ],
    [
      "a queued run may wait for its turn",
      { asyncRuns: true },
      { MaximumRetryAttempts: 1, MaximumEventAgeInSeconds: Match.absent() },
      "1920",
    ],
  ])(
    "WHEN its process dies and %s THEN it is called again, and CloudFormation waits for each call",
    (_what, props, redelivery, serviceTimeout) => {
      const { stack } = scene({ ...props, streamingUrl: true });

      Template.fromStack(stack).allResourcesProperties(
        "AWS::Lambda::EventInvokeConfig",
        redelivery,
      );
      expect(runOf(stack).ServiceTimeout).toBe(serviceTimeout);
    },
  );

  test("WHEN more calls are asked for than Lambda makes THEN the synth fails", () => {
    expect(() => scene({ retryAttempts: 3 })).toThrow(/between 0 and 2/);
  });

  test("WHEN everything is said of it THEN that is what it is", () => {
    const { stack } = scene({
      functionName: "shop-migrations",
      runtime: Runtime.NODEJS_22_X,
      architecture: Architecture.X86_64,
      memorySize: 1_024,
      timeout: Duration.minutes(5),
      tracing: Tracing.ACTIVE,
      ledger: { schema: "public", table: "migrations", history: true },
    });

    expect(functionOf(stack)).toMatchObject({
      FunctionName: "shop-migrations",
      Runtime: "nodejs22.x",
      Architectures: ["x86_64"],
      MemorySize: 1_024,
      Timeout: 300,
      TracingConfig: { Mode: "Active" },
      Environment: {
        Variables: { LEDGER_SCHEMA: "public", LEDGER_TABLE: "migrations", LEDGER_HISTORY: "on" },
      },
    });
  });

  test.each([Runtime.NODEJS_20_X, Runtime.PYTHON_3_13, Runtime.PROVIDED_AL2023])(
    "WHEN its runtime is $name THEN the synth fails",
    (runtime) => {
      expect(() => scene({ runtime })).toThrow(
        `Shop/Migrations: the handler runs on nodejs24.x and nodejs22.x, not on ${runtime.name}.`,
      );
    },
  );

  test("WHEN it is to run longer than Lambda lets it THEN the synth fails", () => {
    expect(() => scene({ timeout: Duration.minutes(16) })).toThrow(
      "Shop/Migrations: timeout is 960 s, and a Lambda function may run 900 s at most, or 5400 s with a capacityProvider.",
    );
  });
});

describe("GIVEN a log", () => {
  test("WHEN nothing is said of it THEN it is kept half a year, and longer than the stack", () => {
    Template.fromStack(scene().stack).hasResource("AWS::Logs::LogGroup", {
      Properties: { RetentionInDays: 180, LogGroupName: Match.absent() },
      DeletionPolicy: "Retain",
    });
  });

  test("WHEN its time and its end are given THEN they are taken", () => {
    const { stack } = scene({
      logRetention: RetentionDays.ONE_WEEK,
      logRemovalPolicy: RemovalPolicy.DESTROY,
    });

    Template.fromStack(stack).hasResource("AWS::Logs::LogGroup", {
      Properties: { RetentionInDays: 7 },
      DeletionPolicy: "Delete",
    });
  });

  test("WHEN it is one of the user's THEN that alone is written to, and its settings are its own", () => {
    const { stack } = scene((within) => ({
      logGroup: LogGroup.fromLogGroupName(within, "Log", "/shop/migrations"),
    }));

    Template.fromStack(stack).resourceCountIs("AWS::Logs::LogGroup", 0);
    expect(JSON.stringify(grantsIn(stack)[0])).toContain("log-group:/shop/migrations:*");
    expect(() =>
      scene((within) => ({
        logGroup: LogGroup.fromLogGroupName(within, "Log", "/shop/migrations"),
        logRetention: RetentionDays.ONE_DAY,
      })),
    ).toThrow(/logRetention and logRemovalPolicy belong to the log group/);
  });
});

describe("GIVEN an HTTP endpoint", () => {
  test("WHEN it is asked for THEN callers must sign, and there is one", () => {
    const { stack, migrations } = scene({ functionUrl: true });

    Template.fromStack(stack).hasResourceProperties("AWS::Lambda::Url", { AuthType: "AWS_IAM" });
    expect(stack.resolve(migrations.functionUrl?.url)).toEqual({
      "Fn::GetAtt": [expect.any(String), "FunctionUrl"],
    });
    expect(scene().migrations.functionUrl).toBeUndefined();
  });

  test("WHEN it is to tell how far a run is THEN a function of its own streams, with the same rights and settings", () => {
    const { stack, migrations } = scene({ streamingUrl: true, memorySize: 1_024 });
    const functions = Template.fromStack(stack).findResources("AWS::Lambda::Function");
    const [main, stream] = Object.values(functions).map(({ Properties }) => Properties);

    expect(stream).toEqual({
      ...main,
      Handler: "index.stream",
      Description: expect.any(String),
    });
    const urls = Template.fromStack(stack).findResources("AWS::Lambda::Url");
    const [[url, { Properties }] = ["", { Properties: null }], ...others] = Object.entries(urls);
    expect(Properties).toMatchObject({ AuthType: "AWS_IAM", InvokeMode: "RESPONSE_STREAM" });
    expect(others).toEqual([]);
    expect(stack.resolve(migrations.streamingUrl?.url)).toEqual({
      "Fn::GetAtt": [url, "FunctionUrl"],
    });
  });

  test("WHEN it is to stream in a VPC, where function URLs do not THEN the synth fails, and names what does", () => {
    expect(() => scene((within) => ({ streamingUrl: true, vpc: ownVpc(within) }))).toThrow(
      /^Shop\/Migrations: streamingUrl does not stream in a vpc.*streamingFunction.*neon-migrate invoke <function> --tail/,
    );
  });

  test("WHEN only a function is to stream THEN it is there without an endpoint, also in a VPC with the same way out", () => {
    const { stack, migrations } = scene((within) => ({
      streamingFunction: true,
      vpc: ownVpc(within),
    }));
    const functions = Template.fromStack(stack).findResources("AWS::Lambda::Function");
    const [main, stream] = Object.values(functions).map(({ Properties }) => Properties);

    expect(stream).toEqual({ ...main, Handler: "index.stream", Description: expect.any(String) });
    expect(stream.VpcConfig).toEqual(expect.any(Object));
    expect(stack.resolve(migrations.streamingFunction?.functionArn)).toEqual({
      "Fn::GetAtt": [expect.stringMatching(/Stream/), "Arn"],
    });
    expect(migrations.streamingUrl).toBeUndefined();
    Template.fromStack(stack).resourceCountIs("AWS::Lambda::Url", 0);
  });

  const open = { authType: FunctionUrlAuthType.NONE };

  test.each<[string, string, (migrations: NeonMigrations, stack: Stack) => object]>([
    ["to the function", "Shop/Migrations/Function/", (made) => made.function.addFunctionUrl(open)],
    [
      "to an alias",
      "Shop/Migrations/Function/",
      (made) => made.function.addAlias("live").addFunctionUrl(open),
    ],
    [
      "elsewhere",
      "Shop/Url/",
      (made, stack) => new FunctionUrl(stack, "Url", { function: made.function, ...open }),
    ],
    [
      "in another stack",
      "Other/Url/",
      (made, stack) =>
        new FunctionUrl(new Stack(App.of(stack), "Other"), "Url", {
          function: made.function,
          ...open,
        }),
    ],
  ])("WHEN one is added %s that is open to everyone THEN the synth fails", (_, path, add) => {
    const { stack, migrations } = scene();
    add(migrations, stack);

    expect(() => Template.fromStack(stack)).toThrow(
      new RegExp(`${path}.* would let everyone on the internet run migrations`),
    );
  });

  test("WHEN another function is open to everyone THEN that is its own affair", () => {
    const { stack } = scene();
    const code = Code.fromInline("exports.handler = async () => 1;");
    const other = { runtime: Runtime.NODEJS_24_X, handler: "index.handler", code };
    new LambdaFunction(stack, "Other", other).addFunctionUrl(open);

    Template.fromStack(stack).hasResourceProperties("AWS::Lambda::Url", {
      AuthType: "NONE",
      TargetFunctionArn: { "Fn::GetAtt": [Match.stringLikeRegexp("^Other"), "Arn"] },
    });
  });
});

describe("GIVEN a VPC", () => {
  test("WHEN the function runs in it THEN in private subnets, behind a group of its own, and may make its interfaces", () => {
    const { stack } = scene((within) => ({ vpc: ownVpc(within) }));

    expect(grantsIn(stack)[2]).toEqual({
      Action: [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
      ],
      Effect: "Allow",
      Resource: "*",
    });
    expect(functionOf(stack)?.VpcConfig).toEqual({
      SubnetIds: [1, 2].map((n) => ({ Ref: expect.stringMatching(`^VpcPrivateSubnet${n}Subnet`) })),
      SecurityGroupIds: [{ "Fn::GetAtt": [expect.stringMatching(/SecurityGroup/), "GroupId"] }],
    });
  });

  test("WHEN the stack makes it THEN the run waits for its way to the internet, and goes before it does", () => {
    const { stack } = scene((within) => ({ vpc: ownVpc(within) }));

    Template.fromStack(stack).hasResource("AWS::Lambda::Function", {
      DependsOn: Match.arrayWith([
        Match.stringLikeRegexp("^VpcPrivateSubnet1DefaultRoute"),
        Match.stringLikeRegexp("^VpcPrivateSubnet1RouteTableAssociation"),
      ]),
    });
  });

  test("WHEN its subnets have no way to the internet THEN each synth warns: a stack would wait for an answer in vain", () => {
    const warningsIn = (subnetType: SubnetType) => {
      const { stack } = scene((within) => ({
        vpc: new Vpc(within, "Vpc", {
          natGateways: subnetType === SubnetType.PRIVATE_ISOLATED ? 0 : 1,
          subnetConfiguration: [
            { name: "Public", subnetType: SubnetType.PUBLIC },
            { name: "Own", subnetType },
          ],
        }) as IVpc,
      }));
      return Annotations.fromStack(stack)
        .findWarning("/Shop/Migrations", Match.anyValue())
        .map(({ entry }) => entry.data);
    };

    expect(warningsIn(SubnetType.PRIVATE_WITH_EGRESS)).toEqual([]);
    expect(warningsIn(SubnetType.PRIVATE_ISOLATED)).toEqual([
      expect.stringMatching(
        /no way to the internet.*\[ack: neon-lambda-migrator:ISOLATED_SUBNETS\]/,
      ),
    ]);
  });

  test("WHEN subnets and groups are given THEN they are taken", () => {
    const { stack, migrations } = scene((within) => {
      const vpc = ownVpc(within);
      return {
        vpc,
        vpcSubnets: { subnets: vpc.privateSubnets.slice(0, 1) },
        securityGroups: [SecurityGroup.fromSecurityGroupId(within, "Group", "sg-12345678")],
      };
    });

    expect(functionOf(stack)?.VpcConfig).toMatchObject({ SecurityGroupIds: ["sg-12345678"] });
    expect(migrations.connections.securityGroups).toMatchObject([
      { securityGroupId: "sg-12345678" },
    ]);
  });
});

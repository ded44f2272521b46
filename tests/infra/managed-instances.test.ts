import { Duration, Lazy, type Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { SecurityGroup } from "aws-cdk-lib/aws-ec2";
import { CapacityProvider } from "aws-cdk-lib/aws-lambda";
import { describe, expect, test } from "vitest";
import type { NeonMigrationsProps } from "../../infra/neon-migrations.ts";
import { ownVpc, runOf, scene } from "../setup/synthesis.ts";

const ARN = "arn:aws:lambda:eu-central-1:123456789012:capacity-provider:shop";
const capacityProvider = { capacityProviderArn: ARN };

const functionsIn = (stack: Stack) =>
  Object.values(Template.fromStack(stack).findResources("AWS::Lambda::Function")).map(
    ({ Properties }) => Properties,
  );

describe("GIVEN a capacity provider", () => {
  test("WHEN the function may run for 90 minutes THEN it does so on its instances, and the deployment waits for an hour", () => {
    const { stack } = scene({ capacityProvider, timeout: Duration.minutes(90) });

    expect(functionsIn(stack)).toEqual([
      expect.objectContaining({
        Timeout: 5_400,
        MemorySize: 2_048,
        PublishToLatestPublished: true,
        CapacityProviderConfig: {
          LambdaManagedInstancesCapacityProviderConfig: {
            CapacityProviderArn: ARN,
            PerExecutionEnvironmentMaxConcurrency: 1,
          },
        },
      }),
    ]);
    // The run ends, and says so, before CloudFormation has given it up.
    expect(runOf(stack)).toMatchObject({ ServiceTimeout: "3600", timeoutMs: "3540000" });
  });

  test("WHEN it is CDK's own THEN the function names it", () => {
    const { stack } = scene((within) => {
      const vpc = ownVpc(within);
      const group = new SecurityGroup(within, "Group", { vpc });
      const { privateSubnets: subnets } = vpc;
      const provider = new CapacityProvider(within, "Own", { subnets, securityGroups: [group] });
      return { capacityProvider: provider };
    });

    expect(functionsIn(stack)).toMatchObject([
      {
        Timeout: 900,
        CapacityProviderConfig: {
          LambdaManagedInstancesCapacityProviderConfig: {
            CapacityProviderArn: { "Fn::GetAtt": [expect.stringMatching(/^Own/), "Arn"] },
          },
        },
      },
    ]);
  });

  test.each<[string, Partial<NeonMigrationsProps>, object]>([
    ["of twenty minutes", { timeout: Duration.minutes(20) }, { ServiceTimeout: "2520" }],
    [
      "that is known only at deployment",
      { timeout: Duration.seconds(Lazy.number({ produce: () => 5_000 })) },
      { ServiceTimeout: "3600", timeoutMs: "3540000" },
    ],
    [
      "beside a shorter time for the run",
      { timeout: Duration.minutes(90), request: { timeoutMs: 60_000 } },
      { ServiceTimeout: "3600", timeoutMs: "60000" },
    ],
    [
      "beside a longer time for the run",
      { timeout: Duration.minutes(90), request: { timeoutMs: 5_000_000 } },
      { ServiceTimeout: "3600", timeoutMs: "3540000" },
    ],
  ])(
    "WHEN it has a time-out %s THEN the run ends while CloudFormation listens",
    (_, props, run) => {
      expect(runOf(scene({ capacityProvider, ...props }).stack)).toMatchObject(run);
    },
  );

  test.each<[string, (stack: Stack) => Partial<NeonMigrationsProps>, RegExp]>([
    ["a vpc", (stack) => ({ vpc: ownVpc(stack) }), /network is that of the capacityProvider/],
    [
      "security groups",
      (stack) => ({ securityGroups: [SecurityGroup.fromSecurityGroupId(stack, "G", "sg-1")] }),
      /network is that of the capacityProvider/,
    ],
    ["a streaming URL", () => ({ streamingUrl: true }), /streamed answer ends after 15 minutes/],
    [
      "a streaming function",
      () => ({ streamingFunction: true }),
      /streamed answer ends after 15 minutes/,
    ],
    ["little memory", () => ({ memorySize: 512 }), /memorySize is 512 MB, .* 2048 MB at least/],
    [
      "two hours",
      () => ({ timeout: Duration.hours(2) }),
      /timeout is 7200 s, and a Lambda function may run 5400 s at most\.$/,
    ],
  ])("WHEN there is %s beside it THEN the synth fails", (_, props, error) => {
    expect(() => scene((stack) => ({ capacityProvider, ...props(stack) }))).toThrow(error);
  });

  test("WHEN the memory is known only at deployment THEN the function takes it", () => {
    const memorySize = Lazy.number({ produce: () => 4_096 });

    expect(functionsIn(scene({ capacityProvider, memorySize }).stack)).toMatchObject([
      { MemorySize: 4_096 },
    ]);
  });
});

test.each([{}, { capacityProvider }])(
  "WHEN retryAttempts is known only at deployment THEN the synth fails: %j",
  (props) => {
    const retryAttempts = Lazy.number({ produce: () => 1 });

    expect(() => scene({ ...props, retryAttempts })).toThrow(
      /retryAttempts must be known at synth, .* Write 0, 1 or 2\./,
    );
  },
);

import { readFileSync } from "node:fs";
import type { Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { Pipeline } from "aws-cdk-lib/aws-codepipeline";
import { Schedule } from "aws-cdk-lib/aws-events";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { describe, expect, test } from "vitest";
import { type FleetProps, fleetScene, INPUT } from "../setup/fleet-construct.ts";

/** The statements of the policies of one role, by the logical id that the role's begins with. */
function rightsOf(stack: Stack, role: string): readonly Readonly<Record<string, unknown>>[] {
  const policies = Object.values(Template.fromStack(stack).findResources("AWS::IAM::Policy"));
  const of = policies.filter(({ Properties }) => Properties.Roles[0].Ref.startsWith(role));
  return of.flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
}

const FUNCTIONS = "FleetRole";
const MACHINES = "FleetMachineRole";

/** The actions that a role may take. */
function actionsOf(stack: Stack, role: string): readonly string[] {
  return rightsOf(stack, role)
    .flatMap(({ Action }) => Action as string | readonly string[])
    .sort();
}

function environmentOf(stack: Stack): Readonly<Record<string, unknown>> {
  const [lambda] = Object.values(Template.fromStack(stack).findResources("AWS::Lambda::Function"));
  return lambda?.Properties.Environment.Variables;
}

describe("GIVEN nothing but migrations and targets", () => {
  const { stack, fleet } = fleetScene();
  const template = Template.fromStack(stack);

  test("WHEN synthesised THEN the definition is the file, byte for byte, and a version and the bucket are put in", () => {
    const [machine] = Object.values(template.findResources("AWS::StepFunctions::StateMachine"));

    expect(machine?.Properties).toMatchObject({
      DefinitionString: readFileSync("infra/fleet.asl.json", "utf8"),
      DefinitionSubstitutions: {
        FunctionArn: { Ref: expect.stringMatching(/^FleetFunctionCurrentVersion/) },
        Bucket: { Ref: expect.stringMatching(/^FleetBucket/) },
      },
      StateMachineType: "STANDARD",
    });
    expect(machine?.Properties.DefinitionString).toContain('"ResultWriter"');
  });

  test("WHEN another deployment comes THEN the version of a run that is under way stays", () => {
    template.hasResource("AWS::Lambda::Version", {
      DeletionPolicy: "Retain",
      UpdateReplacePolicy: "Retain",
    });
  });

  test("WHEN the stack is deployed THEN nothing in it starts a fleet, or waits for one", () => {
    template.resourceCountIs("AWS::Events::Rule", 0);
    template.resourceCountIs("AWS::CloudFormation::CustomResource", 0);
    expect(Object.keys(template.findResources("Custom::NeonMigrations"))).toEqual([]);
  });

  test("WHEN the bucket is looked at THEN it is versioned, encrypted, private, over TLS, and runs go after 30 days", () => {
    template.hasResource("AWS::S3::Bucket", {
      DeletionPolicy: "Retain",
      Properties: {
        VersioningConfiguration: { Status: "Enabled" },
        BucketEncryption: Match.anyValue(),
        PublicAccessBlockConfiguration: {
          ...{ BlockPublicAcls: true, BlockPublicPolicy: true },
          ...{ IgnorePublicAcls: true, RestrictPublicBuckets: true },
        },
        LifecycleConfiguration: {
          Rules: [
            { Id: "Runs", Prefix: "runs/", ExpirationInDays: 30, Status: "Enabled" },
            { Id: "Lists", Prefix: "lists/", ExpirationInDays: 30, Status: "Enabled" },
            Match.objectLike({ NoncurrentVersionExpiration: { NoncurrentDays: 30 } }),
          ],
        },
      },
    });
    const [policy] = Object.values(template.findResources("AWS::S3::BucketPolicy"));
    const denied = policy?.Properties.PolicyDocument.Statement.filter(
      ({ Effect }: { readonly Effect: string }) => Effect === "Deny",
    );
    expect(denied[0].Condition).toEqual({ Bool: { "aws:SecureTransport": "false" } });
  });

  test("WHEN the function is looked at THEN it has no database, and knows its bucket and its targets", () => {
    expect(environmentOf(stack)).toEqual({
      TARGETS: "parameter:/tenants/*",
      FLEET_BUCKET: { Ref: expect.stringMatching(/^FleetBucket/) },
    });
    expect(fleet.migrationsHash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("WHEN the machine's rights are read THEN it reads no secret and no ledger, and nothing is for everything", () => {
    const rights = rightsOf(stack, MACHINES);

    expect(actionsOf(stack, MACHINES)).toEqual([
      ...["lambda:InvokeFunction", "s3:AbortMultipartUpload", "s3:GetObject"],
      ...["s3:ListMultipartUploadParts", "s3:PutObject", "states:DescribeExecution"],
      ...["states:RedriveExecution", "states:StartExecution", "states:StopExecution"],
    ]);
    const s3 = rights.find(({ Action }) => String(Action).includes("s3:"));
    expect(JSON.stringify(s3?.Resource)).toMatch(/"\/runs\/\*"/);
    expect(JSON.stringify(s3?.Resource)).not.toContain("ledger");
    const redrives = rights.find(({ Action }) => Action === "states:RedriveExecution");
    expect(JSON.stringify(redrives?.Resource)).toContain("/wave:*");
    expect(rights.filter(({ Resource }) => Resource === "*")).toEqual([]);
  });

  test("WHEN the function's rights are read THEN it starts no execution, and reads the parameters that targets names", () => {
    const rights = rightsOf(stack, FUNCTIONS);

    expect(actionsOf(stack, FUNCTIONS)).toEqual([
      ...["logs:CreateLogStream", "logs:PutLogEvents"],
      ...["s3:GetObject", "s3:ListBucket", "s3:PutObject", "ssm:GetParameter"],
    ]);
    const reads = rights.find(({ Action }) => Action === "ssm:GetParameter");
    expect(JSON.stringify(reads?.Resource)).toContain(":parameter/tenants/*");
  });
});

describe("GIVEN targets of other kinds", () => {
  test("WHEN they are secrets THEN the function may read those, by prefix or by name, with their key", () => {
    const { stack } = fleetScene((within) => ({
      targets: ["secret:tenants/*", "secret:shop/first"],
      encryptionKeys: [Key.fromKeyArn(within, "Key", "arn:aws:kms:eu-central-1:1234:key/1")],
    }));
    const reads = rightsOf(stack, FUNCTIONS).find(
      ({ Action }) => Action === "secretsmanager:GetSecretValue",
    );
    const decrypts = rightsOf(stack, FUNCTIONS).find(({ Action }) => Action === "kms:Decrypt");

    expect(JSON.stringify(reads?.Resource)).toMatch(
      /:secret:tenants\/\*.*:secret:shop\/first-\?{6}"/,
    );
    expect(JSON.stringify(decrypts)).toContain("secretsmanager.");
  });

  test("WHEN they are databases of one server THEN the function reads the server's secret", () => {
    const { stack } = fleetScene((within) => ({
      targets: ["database:tenant_*"],
      databaseUrl: { secret: Secret.fromSecretNameV2(within, "Server", "shop/server") },
    }));

    expect(environmentOf(stack)).toMatchObject({
      ...{ TARGETS: "database:tenant_*", DATABASE_URL_SECRET: "shop/server" },
    });
    expect(JSON.stringify(rightsOf(stack, FUNCTIONS))).toContain(":secret:shop/server-??????");
  });

  test("WHEN they are projects of Neon THEN the function reads the key", () => {
    const { stack } = fleetScene((within) => ({
      targets: ["neon:*"],
      neonApiKey: { secret: Secret.fromSecretNameV2(within, "NeonKey", "shop/neon") },
    }));

    expect(environmentOf(stack)).toMatchObject({ NEON_API_KEY_SECRET: "shop/neon" });
  });

  test.each(["secret:*", "parameter:*"])(
    "WHEN %s names all of them THEN the synth warns",
    (target) => {
      const { stack } = fleetScene({ targets: [target] });
      const { stack: named } = fleetScene({ targets: [`${target.slice(0, -1)}tenants/*`] });
      const found = (of: Stack) => Annotations.fromStack(of).findWarning("*", Match.anyValue());

      expect(JSON.stringify(found(stack))).toContain("may read every");
      expect(JSON.stringify(found(named))).not.toContain("may read every");
    },
  );

  test.each<[FleetProps, RegExp]>([
    [{ targets: [] }, /Shop\/Fleet: targets is empty/],
    [{ targets: ["/tenants/*"] }, /targets has "\/tenants\/\*"\. An entry is parameter:/],
    [{ targets: ["parameter:/a/*,secret:*"] }, /targets has "parameter:/],
    [{ targets: ["parameter:/*/url"] }, /with one \* at its end/],
    [{ targets: ["postgres://u:p@h/d"] }, /An entry is parameter:/],
    [{ targets: ["database:tenant_*"] }, /targets has database:, and there is no databaseUrl/],
    [{ targets: ["neon:*"] }, /targets has neon:, and there is no neonApiKey/],
    [{ startOnDeploy: true }, /nobody says which tenants a start by itself is for/],
    [{ schedule: Schedule.expression("rate(1 day)") }, /Add input:/],
    [{ targets: ["secret:arn:aws:secretsmanager:*"] }, /needs its region and its account in full/],
    [{ targets: ["parameter:arn:aws:ssm:eu-central-1:1:*"] }, /Shop\/Fleet: TARGETS has/],
  ])("WHEN the props are %j THEN the synth fails, and says why", (props, message) => {
    expect(() => fleetScene(props)).toThrow(message);
  });
});

describe("GIVEN a fleet that starts by itself", () => {
  test("WHEN it is behind a deployment THEN CloudFormation's own event starts it, and no resource waits", () => {
    const { stack } = fleetScene({ input: INPUT, startOnDeploy: true });
    const template = Template.fromStack(stack);

    template.hasResourceProperties("AWS::Events::Rule", {
      EventPattern: {
        source: ["aws.cloudformation"],
        detail: {
          "stack-id": [{ Ref: "AWS::StackId" }],
          "status-details": { status: ["CREATE_COMPLETE", "UPDATE_COMPLETE"] },
        },
      },
      Targets: [Match.objectLike({ Input: JSON.stringify(INPUT) })],
    });
    expect(Object.keys(template.toJSON().Resources)).not.toContainEqual(
      expect.stringMatching(/CustomResource|AWS679/),
    );
  });

  test("WHEN it has a schedule THEN a rule starts it with its input", () => {
    const { stack } = fleetScene({ input: INPUT, schedule: Schedule.expression("rate(1 day)") });

    Template.fromStack(stack).hasResourceProperties("AWS::Events::Rule", {
      ScheduleExpression: "rate(1 day)",
      Targets: [Match.objectLike({ Input: JSON.stringify(INPUT) })],
    });
  });

  test("WHEN a pipeline is through THEN its rule may start it", () => {
    const { stack, fleet } = fleetScene({ input: INPUT });
    const pipeline = Pipeline.fromPipelineArn(
      stack,
      "Pipeline",
      "arn:aws:codepipeline:eu-central-1:123456789012:shop",
    );
    pipeline.onStateChange("Through", { target: fleet.startTarget() });

    expect(actionsOf(stack, "FleetMachineEventsRole")).toEqual(["states:StartExecution"]);
  });
});

describe("GIVEN somebody who works with a fleet", () => {
  test("WHEN they may start and read THEN they get what the command line calls, on this fleet alone", () => {
    const { stack, fleet } = fleetScene();
    const role = new Role(stack, "Team", { assumedBy: new ServicePrincipal("ec2.amazonaws.com") });
    fleet.grantStart(role);
    fleet.grantRead(role);

    const actions = actionsOf(stack, "Team");
    for (const name of ["StartExecution", "StopExecution", "ListExecutions", "ListMapRuns"]) {
      expect(actions).toContain(`states:${name}`);
    }
    expect(JSON.stringify(rightsOf(stack, "Team"))).toContain("/lists/*");
    expect(rightsOf(stack, "Team").filter(({ Resource }) => Resource === "*")).toEqual([]);
  });

  test("WHEN they want an alarm THEN it counts failed, stopped and partial fleets, and there is one", () => {
    const { stack, fleet } = fleetScene();
    fleet.alarmOnPartial();
    fleet.alarmOnPartial();
    const template = Template.fromStack(stack);
    const [alarm] = Object.values(template.findResources("AWS::CloudWatch::Alarm"));

    template.resourceCountIs("AWS::CloudWatch::Alarm", 1);
    expect(JSON.stringify(alarm)).toContain(
      "FILL(partial, 0) + FILL(failed, 0) + FILL(timedOut, 0) + FILL(stopped, 0)",
    );
    const filters = Object.values(template.findResources("AWS::Logs::MetricFilter"));
    expect(filters.map(({ Properties }) => Properties.FilterPattern)).toEqual([
      '"fleet.reported" "\\"status\\":\\"partial\\""',
      '"fleet.reported" "\\"status\\":\\"incomplete\\""',
      '"fleet.reported" "\\"status\\":\\"failed\\""',
    ]);
  });
});

import { App, CfnParameter, Duration, NestedStack, Stack, Stage, Token } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Topic } from "aws-cdk-lib/aws-sns";
import {
  CodePipeline,
  CodePipelineSource,
  type IFileSetProducer,
  ShellStep,
} from "aws-cdk-lib/pipelines";
import { describe, expect, test } from "vitest";
import { ExampleStack } from "../../infra/example/stack.ts";
import { NeonMigrations, type RunRequest } from "../../infra/neon-migrations.ts";
import { attributesOf } from "../../lib/events/summary.ts";
import { parseRequest, type Request } from "../../lib/request.ts";
import { ownSecret, runOf, scene } from "../setup/synthesis.ts";

describe("GIVEN nothing but migrations and a secret", () => {
  const { stack, migrations } = scene();
  const template = Template.fromStack(stack);

  test("WHEN synthesised THEN the logical ids are those of every release, so that the function's ARN stays", () => {
    // Whoever changes one of these makes CloudFormation refuse the update: "Modifying service token is not allowed."
    expect(Object.keys(template.toJSON().Resources)).toEqual([
      "MigrationsLog2206773E",
      "MigrationsRoleDFBDEDC1",
      "MigrationsRoleDefaultPolicy00DE3F99",
      "MigrationsFunction0E989F76",
      "MigrationsFunctionEventInvokeConfig7FDC8D02",
      "MigrationsRunAA72812B",
    ]);
  });

  test("WHEN synthesised THEN the run names the function itself, waits for its rights, and for two calls of it", () => {
    template.templateMatches({
      Resources: {
        MigrationsFunction0E989F76: {
          DependsOn: ["MigrationsRoleDefaultPolicy00DE3F99", "MigrationsRoleDFBDEDC1"],
        },
        MigrationsRunAA72812B: {
          DependsOn: ["MigrationsFunctionEventInvokeConfig7FDC8D02", "MigrationsFunction0E989F76"],
        },
      },
    });
    expect(runOf(stack)).toEqual({
      ServiceToken: { "Fn::GetAtt": ["MigrationsFunction0E989F76", "Arn"] },
      ServiceTimeout: "1920",
      MigrationsHash: migrations.migrationsHash,
      Database: "DATABASE_URL_SECRET=shop/database-url",
    });
  });

  test("WHEN another database or ledger is named THEN the run has other properties, and never a connection string", () => {
    const url = "postgres://owner:word@ep-a.eu-central-1.aws.neon.tech/shop";
    const named = (name: string) => ({ unsafePlainText: `${url}${name}` });
    const databases = [
      scene(),
      scene((within) => ({ databaseUrl: { secret: ownSecret(within) } })),
      scene({ ledger: { schema: "one" } }),
      scene({ ledger: { table: "one" } }),
      scene({ databaseUrl: named("1") }),
      scene({ databaseUrl: named("2") }),
      scene((within) => ({
        databaseUrl: { unsafePlainText: ownSecret(within).secretValue.unsafeUnwrap() },
      })),
    ].map(({ stack }) => JSON.stringify(runOf(stack).Database));

    expect(new Set(databases).size).toBe(databases.length);
    expect(databases.join(" ")).not.toMatch(/postgres:|resolve:/);
    expect(runOf(scene({ databaseUrl: named("1") }).stack).Database).toMatch(
      /^DATABASE_URL=[0-9a-f]{64}$/,
    );
  });

  test("WHEN its attributes are read THEN there is one for everything that the function answers", () => {
    const names = Object.keys(attributesOf(null, { awsRequestId: "" } as never));
    const getters = Object.entries(Object.getOwnPropertyDescriptors(NeonMigrations.prototype))
      .filter(([name, { get }]) => get !== undefined && !["resource", "connections"].includes(name))
      .map(([name]) => name);

    expect(getters.toSorted()).toEqual(names.toSorted());
    for (const name of names) {
      expect(stack.resolve(Reflect.get(migrations, name))).toEqual({
        "Fn::GetAtt": ["MigrationsRunAA72812B", name],
      });
    }
  });
});

describe("GIVEN a request", () => {
  const request = {
    transaction: "each",
    outOfOrder: "apply",
    modified: "error",
    ahead: "error",
    executor: "statements",
    lockTimeoutMs: 5_000,
    ddlLockTimeoutMs: 500,
    timeoutMs: 60_000,
  } as const satisfies Required<RunRequest>;

  test("WHEN synthesised THEN its values are texts, and the function reads the same request back", () => {
    const { stack } = scene({ request });
    const properties = runOf(stack);

    expect(properties.lockTimeoutMs).toBe("5000");
    expect(
      Object.values(properties)
        .slice(1)
        .every((value) => typeof value === "string"),
    ).toBe(true);
    expect(parseRequest(properties)).toEqual(parseRequest(request));
  });

  test("WHEN it is compared with what a caller may ask for THEN it has the same fields and values", () => {
    const ofConstruct: RunRequest = {};
    const ofCaller: Partial<Omit<Request, "action" | "onFailure" | "timeoutMs">> = ofConstruct;
    // The construct's property `rehearsal` has the first two, with the key that they need; the others are for a fleet.
    const elsewhere = { rehearsal: "first", rehearsalLimits: {}, target: null, expect: null };

    expect(
      Object.keys({ ...request, ...elsewhere, action: "up", onFailure: "throw" }).toSorted(),
    ).toEqual(Object.keys(parseRequest(ofCaller)).toSorted());
  });

  test.each([
    [{ lockTimeout: 5_000 }, /Shop\/Migrations: request has no field lockTimeout here/],
    [{ action: "plan" }, /Shop\/Migrations: request has no field action here/],
    [{ outOfOrder: "ignore" }, /Shop\/Migrations: The request's outOfOrder is "ignore"/],
    [{ lockTimeoutMs: -1 }, /Shop\/Migrations: The request's lockTimeoutMs is -1/],
  ])("WHEN it is %j THEN the synth fails, not the deployment", (wrong, message) => {
    expect(() => scene({ request: wrong as RunRequest })).toThrow(message);
  });

  test("WHEN values are known only at deployment THEN they are left to CloudFormation", () => {
    const { stack } = scene((within) => ({
      request: {
        lockTimeoutMs: new CfnParameter(within, "Patience", { type: "Number" }).valueAsNumber,
      },
      functionName: Token.asString({ Ref: "AWS::StackName" }),
      timeout: Duration.seconds(new CfnParameter(within, "Time", { type: "Number" }).valueAsNumber),
    }));

    // CloudFormation waits as long as for the longest.
    expect(runOf(stack)).toMatchObject({
      lockTimeoutMs: { Ref: "Patience" },
      ServiceTimeout: "1920",
    });
    Template.fromStack(stack).hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: { Ref: "AWS::StackName" },
      Timeout: { Ref: "Time" },
    });
  });
});

describe("GIVEN what has to wait for what", () => {
  test("WHEN the example is synthesised THEN its service depends on the run", () => {
    const template = Template.fromStack(new ExampleStack(new App(), "Example"));
    const [run] = Object.keys(template.findResources("Custom::NeonMigrations"));

    template.hasResource("AWS::Lambda::Function", {
      Properties: { Code: { ZipFile: Match.anyValue() } },
      DependsOn: Match.arrayWith([run]),
    });
  });

  test("WHEN two databases are migrated one after the other THEN the second run depends on the first", () => {
    const { stack, secret, migrations } = scene();
    const second = new NeonMigrations(stack, "Second", {
      migrations: "drizzle",
      databaseUrl: { secret },
      check: false,
    });
    second.executeAfter(migrations);

    expect(runOf(stack, "Second").ServiceToken).not.toEqual(runOf(stack).ServiceToken);
    Template.fromStack(stack).hasResource("Custom::NeonMigrations", {
      DependsOn: Match.arrayWith(["MigrationsRunAA72812B"]),
    });
  });

  test("WHEN what contains them is to wait, or to be waited for THEN the synth fails, not the deployment", () => {
    const { stack, migrations } = scene();

    for (const scope of [migrations, stack, stack.node.root]) {
      for (const order of ["executeBefore", "executeAfter"] as const) {
        expect(() => migrations[order](scope)).toThrow(
          /Shop\/Migrations: .* contains these migrations, so neither can wait for the other/,
        );
      }
    }
  });

  test("WHEN a service that waits for it is also let in THEN they do not wait for each other", () => {
    const { stack, migrations } = scene();
    const topic = new Topic(stack, "Topic");
    const principal = new ServicePrincipal("sns.amazonaws.com");
    migrations.executeBefore(topic);
    migrations.function.addPermission("Topic", { principal, sourceArn: topic.topicArn });

    // CDK's assertions refuse a circle.
    const template = Template.fromStack(stack);
    template.hasResource("AWS::SNS::Topic", { DependsOn: ["MigrationsRunAA72812B"] });
    template.hasResource("AWS::Lambda::Permission", {
      Properties: { SourceArn: { Ref: Match.stringLikeRegexp("^Topic") } },
      DependsOn: Match.absent(),
    });
  });

  test("WHEN no deployment runs it THEN there is a function without a run, and nothing can wait for it", () => {
    const { stack, migrations } = scene({ runOnDeploy: false });

    Template.fromStack(stack).resourceCountIs("Custom::NeonMigrations", 0);
    expect(() => migrations.appliedCount).toThrow(/Shop\/Migrations: with runOnDeploy: false/);
    expect(() => migrations.executeBefore(new Topic(stack, "Topic"))).toThrow(
      /nothing can wait for it/,
    );
  });

  test("WHEN each deployment runs it THEN two syntheses differ in a time and in nothing else", () => {
    const [first, second] = [scene({ alwaysRun: true }), scene({ alwaysRun: true })];
    const { SynthesisedAt, ...rest } = runOf(first.stack);

    expect(Date.parse(String(SynthesisedAt))).toBeLessThanOrEqual(Date.now());
    expect(runOf(second.stack)).toMatchObject(rest);
  });
});

describe("GIVEN stacks of all kinds", () => {
  test("WHEN it is in a nested stack, with a secret of the outer one THEN the secret's ARN is handed down", () => {
    const outer = new Stack(new App(), "Outer");
    const nested = new NestedStack(outer, "Nested");
    const secret = ownSecret(outer);
    new NeonMigrations(nested, "Migrations", {
      migrations: "drizzle",
      databaseUrl: { secret },
      check: false,
    });

    Template.fromStack(nested).hasResourceProperties("AWS::Lambda::Function", {
      Environment: { Variables: { DATABASE_URL_SECRET: { Ref: Match.anyValue() } } },
    });
    Template.fromStack(outer).hasResourceProperties("AWS::CloudFormation::Stack", {
      Parameters: Match.anyValue(),
    });
  });

  test("WHEN the secret is of another stack THEN it is imported, for the function and for its role", () => {
    const app = new App();
    const secret = ownSecret(new Stack(app, "Secrets"));
    const stack = new Stack(app, "Shop");
    new NeonMigrations(stack, "Migrations", {
      migrations: "drizzle",
      databaseUrl: { secret },
      check: false,
    });
    const imported = { "Fn::ImportValue": Match.stringLikeRegexp("^Secrets:") };

    Template.fromStack(stack).hasResourceProperties("AWS::Lambda::Function", {
      Environment: { Variables: { DATABASE_URL_SECRET: imported } },
    });
    Template.fromStack(stack).hasResourceProperties("AWS::IAM::Policy", {
      PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Resource: imported })]) },
    });
  });

  test("WHEN a pipeline deploys it to two stages THEN both have the same asset and the same hash", () => {
    const app = new App();
    const pipelines = new Stack(app, "Pipelines");
    // CDK's own types are not exact about optional properties.
    const input = CodePipelineSource.connection("shop/shop", "main", {
      connectionArn: "arn:aws:codeconnections:eu-central-1:123456789012:connection/x",
    }) as IFileSetProducer;
    const synth = new ShellStep("Synth", {
      input,
      commands: ["npx cdk synth"],
    }) as IFileSetProducer;
    const pipeline = new CodePipeline(pipelines, "Pipeline", { synth });
    const runs = ["Staging", "Production"].map((name) => {
      const stage = new Stage(app, name);
      const { stack } = scene({}, {}, stage);
      pipeline.addStage(stage);
      return { run: runOf(stack), stack };
    });
    const codes = runs.map(({ stack }) =>
      Template.fromStack(stack).findResources("AWS::Lambda::Function"),
    );

    expect(runs[0]?.run).toEqual(runs[1]?.run);
    expect(codes[0]).toEqual(codes[1]);
    Template.fromStack(pipelines).resourceCountIs("AWS::CodePipeline::Pipeline", 1);
  });
});

import { App, CfnParameter, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { AccountRootPrincipal, Role } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { describe, expect, test } from "vitest";
import { databaseUrlEnvironment } from "../../infra/database-url.ts";
import type { DatabaseUrl } from "../../infra/neon-migrations.ts";
import { grantsIn, ownSecret, scene } from "../setup/synthesis.ts";

const LOG_GRANT = {
  Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
  Effect: "Allow",
  Resource: { "Fn::GetAtt": ["MigrationsLog2206773E", "Arn"] },
};
const KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/11111111-abcd";

function arn(service: string, rest: string): unknown {
  const place = [{ Ref: "AWS::Region" }, ":", { Ref: "AWS::AccountId" }, `:${rest}`];
  return { "Fn::Join": ["", ["arn:", { Ref: "AWS::Partition" }, `:${service}:`, ...place]] };
}

function allow(action: string | readonly string[], resource: unknown): unknown {
  return { Action: action, Effect: "Allow", Resource: resource };
}

function decrypt(service: string, key: unknown): unknown {
  const via = {
    "Fn::Join": ["", [`${service}.`, { Ref: "AWS::Region" }, ".", { Ref: "AWS::URLSuffix" }]],
  };
  return {
    ...Object(allow("kms:Decrypt", key)),
    Condition: { StringEquals: { "kms:ViaService": via } },
  };
}

function withUrl(make: (stack: Stack) => DatabaseUrl) {
  const { stack } = scene((within) => ({ databaseUrl: make(within) }));
  const [lambda] = Object.values(Template.fromStack(stack).findResources("AWS::Lambda::Function"));
  const [log, ...grants] = grantsIn(stack);
  expect(log).toEqual(LOG_GRANT);
  return { stack, environment: lambda?.Properties.Environment.Variables, grants };
}

describe("GIVEN where the connection string is", () => {
  test.each([
    "shop/url",
    "neon-direct",
    "shop-master",
    "db-secret",
    "shop/db-secret",
    "a-b-AbC123",
  ])(
    "WHEN it is the secret %s by name THEN it is read by name, and the role may, whatever six characters AWS adds",
    (name) => {
      const { environment, grants } = withUrl((stack) => ({
        secret: Secret.fromSecretNameV2(stack, "Url", name),
      }));

      expect(environment).toEqual({ DATABASE_URL_SECRET: name });
      expect(grants).toEqual([
        allow("secretsmanager:GetSecretValue", arn("secretsmanager", `secret:${name}-??????`)),
      ]);
    },
  );

  test("WHEN the name is a parameter of the template THEN it is the parameter's value", () => {
    const { environment } = withUrl((stack) => {
      const { valueAsString } = new CfnParameter(stack, "SecretName");
      return { secret: Secret.fromSecretNameV2(stack, "Url", valueAsString) };
    });

    expect(environment).toEqual({ DATABASE_URL_SECRET: { Ref: "SecretName" } });
  });

  test.each([
    ["of this account, is read by name", "123456789012", "neon-direct", "neon-direct"],
    ["of another account, is read by ARN", "210987654321", "shop/url", "%s"],
  ])("WHEN it is a partial ARN THEN a secret %s", (_what, account, name, id) => {
    const partial = `arn:aws:secretsmanager:eu-central-1:${account}:secret:${name}`;
    const app = new App();
    const stack = new Stack(app, "S", { env: { account: "123456789012", region: "eu-central-1" } });
    const environment = databaseUrlEnvironment(stack, {
      secret: Secret.fromSecretPartialArn(stack, "Url", partial),
    });

    expect(environment).toEqual({ DATABASE_URL_SECRET: id.replace("%s", partial) });
  });

  test("WHEN it is a partial ARN that AWS takes for a whole one THEN the synth fails, and says the way out", () => {
    const partial = "arn:aws:secretsmanager:eu-central-1:210987654321:secret:neon-direct";

    expect(() =>
      withUrl((stack) => ({ secret: Secret.fromSecretPartialArn(stack, "Url", partial) })),
    ).toThrow(/will not find it\. Name the secret by Secret\.fromSecretNameV2/);
  });

  test("WHEN it is a field of a secret by its whole ARN THEN the role may read that ARN and nothing like it", () => {
    const secretCompleteArn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf";
    const { environment, grants } = withUrl((stack) => ({
      secret: Secret.fromSecretCompleteArn(stack, "Url", secretCompleteArn),
      field: "url",
    }));

    expect(environment).toEqual({
      DATABASE_URL_SECRET: secretCompleteArn,
      DATABASE_URL_SECRET_FIELD: "url",
    });
    expect(grants).toEqual([allow("secretsmanager:GetSecretValue", secretCompleteArn)]);
  });

  test("WHEN the secret has a key of the customer THEN the role may decrypt with it, for Secrets Manager only", () => {
    const { grants } = withUrl((stack) => ({
      secret: ownSecret(stack, { encryptionKey: new Key(stack, "Key") }),
    }));

    expect(grants).toEqual([
      allow("secretsmanager:GetSecretValue", { Ref: expect.stringMatching("^OwnSecret") }),
      decrypt("secretsmanager", { "Fn::GetAtt": [expect.stringMatching("^Key"), "Arn"] }),
    ]);
  });

  test("WHEN an imported secret's key is named THEN the role may decrypt with it", () => {
    const { grants } = withUrl((stack) => ({
      secret: Secret.fromSecretNameV2(stack, "Url", "shop/url"),
      encryptionKey: Key.fromKeyArn(stack, "Key", KEY_ARN),
    }));

    expect(grants[1]).toEqual(decrypt("secretsmanager", KEY_ARN));
  });

  test("WHEN it is a SecureString THEN the role may get it, and decrypt with the key that it names", () => {
    const { environment, grants } = withUrl((stack) => ({
      parameter: StringParameter.fromSecureStringParameterAttributes(stack, "Url", {
        parameterName: "/shop/url",
        encryptionKey: Key.fromKeyArn(stack, "Key", KEY_ARN),
      }),
    }));

    expect(environment).toEqual({ DATABASE_URL_PARAMETER: "/shop/url" });
    expect(grants).toEqual([
      allow("ssm:GetParameter", arn("ssm", "parameter/shop/url")),
      decrypt("ssm", KEY_ARN),
    ]);
  });

  test("WHEN it is a parameter by its ARN THEN the ARN is used, of whose name CDK knows the last part only", () => {
    const parameterArn = "arn:aws:ssm:eu-central-1:123456789012:parameter/shop/url";
    const { stack, environment, grants } = withUrl((within) => ({
      parameter: StringParameter.fromStringParameterArn(within, "Url", parameterArn),
    }));

    expect(environment).toEqual({ DATABASE_URL_PARAMETER: parameterArn });
    expect(grants).toEqual([allow("ssm:GetParameter", parameterArn)]);
    // Were its value asked for, CloudFormation would read it, show it, and refuse a SecureString.
    Template.fromStack(stack).templateMatches({
      Parameters: { BootstrapVersion: {}, "Url.Parameter": Match.absent() },
    });
  });

  test("WHEN it is plain text THEN nothing is granted, and each synth warns of it and of a pooled host", () => {
    const unsafePlainText = "postgres://u:p@ep-calm-1-pooler.eu-central-1.aws.neon.tech/shop";
    const { stack, environment, grants } = withUrl(() => ({ unsafePlainText }));
    const warnings = Annotations.fromStack(stack).findWarning("/Shop/Migrations", Match.anyValue());

    expect(environment).toEqual({ DATABASE_URL: unsafePlainText });
    expect(grants).toEqual([]);
    expect(warnings.map(({ entry }) => entry.data)).toEqual([
      expect.stringContaining("[ack: neon-lambda-migrator:PLAINTEXT_DATABASE_URL]"),
      expect.stringMatching(/ep-calm-1-pooler\..*\[ack: neon-lambda-migrator:POOLED_ENDPOINT\]/s),
    ]);
    expect(JSON.stringify(warnings)).not.toContain("u:p@");
  });

  test("WHEN an app in JavaScript leaves the others undefined THEN they are not there", () => {
    const { grants } = withUrl((stack) => {
      const secret = Secret.fromSecretNameV2(stack, "Url", "shop/url");
      return { parameter: undefined, unsafePlainText: undefined, secret } as unknown as DatabaseUrl;
    });

    expect(grants).toMatchObject([{ Action: "secretsmanager:GetSecretValue" }]);
  });

  test.each<[DatabaseUrl | object | undefined, RegExp]>([
    [undefined, /Shop\/Migrations: databaseUrl needs exactly one of .* has none/],
    [{}, /Shop\/Migrations: databaseUrl needs exactly one of .* has none/],
    [{ secret: undefined, parameter: null }, /exactly one of .* has none/],
    [{ parameter: {}, unsafePlainText: "x" }, /exactly one of .* has parameter, unsafePlainText/],
    [{ unsafePlainText: "mysql://root@host/shop" }, /begins with mysql:.* not one of the form/],
  ])("WHEN it is %j THEN the synth fails", (databaseUrl, message) => {
    expect(() => scene({ databaseUrl: databaseUrl as DatabaseUrl })).toThrow(message);
  });

  test("WHEN the secret is in another region THEN the synth fails: the function would look in its own", () => {
    const far = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop-AbCdEf";
    const env = { region: "eu-central-1", account: "123456789012" };
    const make = (arnOfSecret: string) =>
      scene(
        (stack) => ({
          databaseUrl: { secret: Secret.fromSecretCompleteArn(stack, "Url", arnOfSecret) },
        }),
        { env },
      );

    expect(() => make(far)).toThrow(/the secret is in us-east-1, the function in eu-central-1/);
    const near = far.replace("us-east-1", "eu-central-1");
    expect(grantsIn(make(near).stack)[1]).toEqual(allow("secretsmanager:GetSecretValue", near));
  });
});

describe("GIVEN what else the function may have to do", () => {
  const rest = (stack: Stack) => grantsIn(stack).slice(2);

  test("WHEN a pipeline defined elsewhere waits for it THEN it may answer jobs, and nothing else of CodePipeline", () => {
    const { stack, migrations } = scene();
    migrations.grantPipelineResults();

    expect(rest(stack)).toEqual([
      allow(["codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult"], "*"),
    ]);
  });

  test("WHEN a deployment group defined elsewhere waits for it THEN it may answer its hooks", () => {
    const group = "arn:aws:codedeploy:eu-central-1:123456789012:deploymentgroup:shop/web";
    const { stack, migrations } = scene();
    migrations.grantDeploymentHooks(group);

    expect(rest(stack)).toEqual([allow("codedeploy:PutLifecycleEventHookExecutionStatus", group)]);
  });

  test("WHEN runs may outlive their call THEN it may invoke itself, in a policy that does not wait in a circle", () => {
    const { stack } = scene({ asyncRuns: true });

    expect(rest(stack)).toEqual([
      allow("lambda:InvokeFunction", { "Fn::GetAtt": ["MigrationsFunction0E989F76", "Arn"] }),
    ]);
    Template.fromStack(stack).hasResource("AWS::Lambda::Function", {
      DependsOn: ["MigrationsRoleDefaultPolicy00DE3F99", "MigrationsRoleDFBDEDC1"],
    });
  });

  test("WHEN it is not asked for anything THEN it has no managed policy and is invoked by nobody", () => {
    const template = Template.fromStack(scene().stack);

    template.hasResourceProperties("AWS::IAM::Role", {
      ManagedPolicyArns: Match.absent(),
      Policies: Match.absent(),
    });
    template.resourceCountIs("AWS::Lambda::Permission", 0);
    template.resourceCountIs("AWS::Lambda::Url", 0);
  });

  test("WHEN someone is granted the right to invoke it THEN it is for this function", () => {
    const { stack, migrations } = scene();
    migrations.grantInvoke(new Role(stack, "Pipeline", { assumedBy: new AccountRootPrincipal() }));
    const lambda = { "Fn::GetAtt": ["MigrationsFunction0E989F76", "Arn"] };

    expect(rest(stack)).toEqual([
      allow("lambda:InvokeFunction", [lambda, { "Fn::Join": ["", [lambda, ":*"]] }]),
    ]);
  });
});

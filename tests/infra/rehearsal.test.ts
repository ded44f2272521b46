import { CfnParameter, type Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Key } from "aws-cdk-lib/aws-kms";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { describe, expect, test } from "vitest";
import type { NeonApiKey, RehearsalOptions, RunRequest } from "../../infra/neon-migrations.ts";
import { parseRequest } from "../../lib/request.ts";
import { readNeonSettings } from "../../lib/target/neon-access.ts";
import { grantsIn, runOf, scene } from "../setup/synthesis.ts";

const ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/neon-AbCdEf";
const KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/11111111-abcd";
const PROJECT = "late-frost-12345678";

type Make = (stack: Stack) => Partial<RehearsalOptions> & { readonly apiKey?: NeonApiKey };

/** Makes the construct with a rehearsal. Unless the test names another one, the key is a secret by its whole ARN. */
function rehearsing(make: Make = () => ({}), more: object = {}): Stack {
  return scene((stack) => ({
    rehearsal: {
      apiKey: { secret: Secret.fromSecretCompleteArn(stack, "WholeKey", ARN) },
      projectId: PROJECT,
      ...make(stack),
    },
    ...more,
  })).stack;
}

/** The environments of all functions of a stack, without what leads to the database. */
function environmentsOf(stack: Stack): readonly Readonly<Record<string, string>>[] {
  const functions = Template.fromStack(stack).findResources("AWS::Lambda::Function");
  return Object.values(functions).map(({ Properties }) => {
    const { DATABASE_URL_SECRET: _url, ...rest } = Properties.Environment.Variables;
    return rest;
  });
}

/** The grants beside those on the log and on the connection string. */
const grantsOf = (stack: Stack) => grantsIn(stack).slice(2);

const reading = (action: string, resource: unknown) => ({
  ...{ Action: action, Effect: "Allow", Resource: resource },
});

describe("GIVEN no rehearsal", () => {
  test("WHEN synthesised THEN nothing of it is in the template", () => {
    const { stack } = scene();

    expect(environmentsOf(stack)).toEqual([{}]);
    expect(grantsOf(stack)).toEqual([]);
    expect(Object.keys(runOf(stack))).not.toContain("rehearsal");
  });

  test.each(["rehearsal", "rehearsalLimits"])(
    "WHEN the request has %s THEN the synth says which property it is, because it needs a key",
    (field) => {
      const request = { [field]: "first" } as unknown as RunRequest;

      expect(() => scene({ request })).toThrow(
        `Shop/Migrations: request has no field ${field} here. A rehearsal is the property rehearsal of the construct.`,
      );
    },
  );
});

describe("GIVEN a rehearsal with a key by reference", () => {
  test("WHEN the key is a secret THEN the function has its ARN and the project, and may read that secret alone", () => {
    const stack = rehearsing();

    expect(environmentsOf(stack)).toEqual([{ NEON_API_KEY_SECRET: ARN, NEON_PROJECT_ID: PROJECT }]);
    expect(grantsOf(stack)).toEqual([reading("secretsmanager:GetSecretValue", ARN)]);
  });

  test("WHEN the key is a field of a secret by name THEN the function reads it back from its settings", () => {
    const stack = rehearsing((within) => ({
      apiKey: { secret: Secret.fromSecretNameV2(within, "NeonKey", "shop/neon"), field: "token" },
    }));
    const [environment] = environmentsOf(stack);

    expect(readNeonSettings(environment)).toEqual({
      key: { from: "secret", id: "shop/neon", field: "token" },
      projectId: PROJECT,
      url: null,
    });
    expect(JSON.stringify(grantsOf(stack))).toContain("secret:shop/neon-??????");
  });

  test("WHEN the key is a SecureString with a key of the customer THEN the role may read and decrypt, by SSM only", () => {
    const stack = rehearsing((within) => ({
      apiKey: {
        parameter: StringParameter.fromSecureStringParameterAttributes(within, "NeonKey", {
          parameterName: "/shop/neon",
        }),
        encryptionKey: Key.fromKeyArn(within, "Key", KEY_ARN),
      },
    }));
    const [read, decrypt, ...more] = grantsOf(stack);

    expect(environmentsOf(stack)).toEqual([
      { NEON_API_KEY_PARAMETER: expect.anything(), NEON_PROJECT_ID: PROJECT },
    ]);
    expect(JSON.stringify(environmentsOf(stack))).toContain("/shop/neon");
    expect(read).toMatchObject({ Action: "ssm:GetParameter" });
    expect(JSON.stringify(read)).toContain("parameter/shop/neon");
    expect(decrypt).toMatchObject({
      ...{ Action: "kms:Decrypt", Resource: KEY_ARN },
      Condition: { StringEquals: { "kms:ViaService": expect.anything() } },
    });
    expect(JSON.stringify(decrypt)).toContain('"ssm."');
    expect(more).toEqual([]);
  });

  test("WHEN there is a function that streams THEN it can rehearse, too", () => {
    const stack = rehearsing(undefined, { streamingFunction: true });

    expect(environmentsOf(stack)).toEqual(
      Array(2).fill({ NEON_API_KEY_SECRET: ARN, NEON_PROJECT_ID: PROJECT }),
    );
  });

  test.each<[object | undefined, RegExp]>([
    [undefined, /Shop\/Migrations: rehearsal\.apiKey needs exactly one of .* has neither/],
    [{ unsafePlainText: "napi_1" }, /needs exactly one of secret and parameter, and has neither/],
    [{ secret: {}, parameter: {} }, /exactly one of .* has secret and parameter/],
  ])("WHEN its apiKey is %j THEN the synth fails, and shows no key", (apiKey, message) => {
    const make = () => rehearsing(() => ({ apiKey: apiKey as unknown as NeonApiKey }));

    expect(make).toThrow(message);
    expect(make).not.toThrow(/napi_1/);
  });

  test("WHEN the secret is in another region THEN the synth fails: the function would look in its own", () => {
    const far = ARN.replace("eu-central-1", "us-east-1");
    const make = () =>
      scene(
        (stack) => ({
          rehearsal: {
            apiKey: { secret: Secret.fromSecretCompleteArn(stack, "NeonKey", far) },
            projectId: PROJECT,
          },
        }),
        { env: { region: "eu-central-1", account: "123456789012" } },
      );

    expect(make).toThrow(/the secret is in us-east-1, the function in eu-central-1/);
  });

  test.each([undefined, null])(
    "WHEN its projectId is %j THEN the function finds the project by itself",
    (projectId) => {
      const stack = rehearsing(() => ({ projectId: projectId as unknown as string }));

      expect(environmentsOf(stack)).toEqual([{ NEON_API_KEY_SECRET: ARN }]);
    },
  );

  test.each(["Late Frost", "", "../projects"])(
    "WHEN its projectId is %j THEN the synth fails",
    (projectId) => {
      expect(() => rehearsing(() => ({ projectId }))).toThrow(
        /Shop\/Migrations: rehearsal\.projectId is .*, which is no id of a Neon project/,
      );
    },
  );
});

describe("GIVEN the run of a deployment with a rehearsal", () => {
  test("WHEN nothing else is said THEN it applies only what was rehearsed well", () => {
    const { rehearsal, rehearsalLimits } = runOf(rehearsing());

    expect({ rehearsal, rehearsalLimits }).toEqual({ rehearsal: "first" });
  });

  test("WHEN it has a mode and limits THEN they are texts, and the function reads the same request back", () => {
    const limits = { blockedMs: 2_000, totalMs: 600_000 };
    const run = runOf(rehearsing(() => ({ mode: "try", limits })));

    expect(run).toMatchObject({
      rehearsal: "try",
      rehearsalLimits: { blockedMs: "2000", totalMs: "600000" },
    });
    expect(parseRequest(run)).toMatchObject({ rehearsal: "try", rehearsalLimits: limits });
  });

  test("WHEN a limit is known only at deployment THEN it is left to CloudFormation", () => {
    const run = runOf(
      rehearsing((stack) => {
        const blockedMs = new CfnParameter(stack, "Limit", { type: "Number" }).valueAsNumber;
        return { limits: { blockedMs } };
      }),
    );

    expect(run).toMatchObject({ rehearsalLimits: { blockedMs: { Ref: "Limit" } } });
  });

  test.each([
    [{ mode: "always" }, /Shop\/Migrations: The request's rehearsal is "always"/],
    [{ limits: { blockedMs: -1 } }, /Shop\/Migrations: The request's blockedMs is -1/],
    [{ limits: { blocked: 1 } }, /Shop\/Migrations: The request's rehearsalLimits has "blocked"/],
  ])("WHEN it is %j THEN the synth fails, not the deployment", (wrong, message) => {
    expect(() => rehearsing(() => wrong as Partial<RehearsalOptions>)).toThrow(message);
  });

  test("WHEN mode or limits change THEN the run is fired; WHEN the key or its project does THEN it is not", () => {
    const run = (make?: Make) => JSON.stringify(runOf(rehearsing(make)));
    const otherKey: Make = (stack) => ({
      apiKey: { secret: Secret.fromSecretNameV2(stack, "Other", "shop/other") },
    });

    expect(run(otherKey)).toBe(run());
    expect(run(() => ({ projectId: "wild-sun-1" }))).toBe(run());
    const changed = [run(() => ({ mode: "try" })), run(() => ({ limits: { blockedMs: 1 } }))];
    expect(new Set([run(), ...changed, JSON.stringify(runOf(scene().stack))]).size).toBe(4);
  });

  test("WHEN no deployment runs the migrations THEN the function can rehearse for those who ask it to", () => {
    const stack = rehearsing(undefined, { runOnDeploy: false });

    expect(environmentsOf(stack)).toMatchObject([{ NEON_API_KEY_SECRET: ARN }]);
    expect(runOf(stack)).toBeUndefined();
  });
});

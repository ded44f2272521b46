import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";

let secrets: LocalSecrets;

beforeEach(async () => {
  secrets = await startSecrets();
});

afterEach(() => secrets.stop());

function settings() {
  return {
    endpoint: secrets.url,
    region: "eu-central-1",
    maxAttempts: 1,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
}

function readSecret(SecretId: string) {
  return new SecretsManagerClient(settings()).send(new GetSecretValueCommand({ SecretId }));
}

function readParameter(Name: string) {
  const command = new GetParameterCommand({ Name, WithDecryption: true });
  return new SSMClient(settings()).send(command);
}

describe("Secrets Manager", () => {
  test.each([
    "app/database",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app/database-AbCdEf",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app/database",
  ])("gives the AWS SDK the secret %s and counts the read", async (id) => {
    secrets.set("app/database", "postgres://one");

    const answer = await readSecret(id);

    expect(answer).toMatchObject({ Name: "app/database", SecretString: "postgres://one" });
    expect(secrets.reads("app/database")).toBe(1);
  });

  test("gives the newest value after a rotation", async () => {
    secrets.set("app/database", "old");
    secrets.set("app/database", "new");

    expect(await readSecret("app/database")).toMatchObject({ SecretString: "new" });
  });

  const ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:";

  test.each(["neon-direct", "shop-master", "db-secret"])(
    "finds %s by its name and its whole ARN, and takes its partial ARN for a whole one",
    async (name) => {
      secrets.set(name, "value");

      expect(await readSecret(name)).toMatchObject({ ARN: `${ARN}${name}-AbCdEf` });
      expect(await readSecret(`${ARN}${name}-AbCdEf`)).toMatchObject({ Name: name });
      for (const wrong of [`${ARN}${name}`, `${ARN}${name}-xxxxxx`, `${ARN}${name}-`]) {
        await expect(readSecret(wrong)).rejects.toMatchObject({
          name: "ResourceNotFoundException",
        });
      }
    },
  );

  test("does not find a secret that does not exist", async () => {
    await expect(readSecret("missing")).rejects.toMatchObject({
      name: "ResourceNotFoundException",
    });
  });

  test("denies access on command", async () => {
    secrets.set("app/database", "value");
    secrets.deny("app/database", { forCalls: 2 });
    const denied = { name: "AccessDeniedException" };

    await expect(readSecret("app/database")).rejects.toMatchObject(denied);
    await expect(readSecret("app/database")).rejects.toMatchObject(denied);
    expect(await readSecret("app/database")).toMatchObject({ SecretString: "value" });

    secrets.deny("app/database", { of: "its key" });
    await expect(readSecret("app/database")).rejects.toMatchObject({
      ...{ ...denied, message: "Access to KMS is not allowed" },
    });
    secrets.deny("app/database", { of: "its key", forMs: 0 });
    expect(await readSecret("app/database")).toMatchObject({ SecretString: "value" });
  });

  test("holds its answer back", async () => {
    secrets.set("app/database", "value");
    secrets.setDelayMs(200);

    const started = performance.now();
    await readSecret("app/database");

    expect(performance.now() - started).toBeGreaterThan(195);
  });
});

describe("the Parameter Store", () => {
  test.each(["/app/database", "arn:aws:ssm:eu-central-1:123456789012:parameter/app/database"])(
    "gives the AWS SDK the parameter %s and counts the read",
    async (name) => {
      secrets.set("/app/database", "postgres://one");

      const answer = await readParameter(name);

      expect(answer.Parameter).toMatchObject({ Name: "/app/database", Value: "postgres://one" });
      expect(secrets.reads("/app/database")).toBe(1);
    },
  );

  test("keeps a value encrypted for whoever does not ask for its decryption", async () => {
    secrets.set("/app/database", "postgres://one");

    const command = new GetParameterCommand({ Name: "/app/database" });
    const answer = await new SSMClient(settings()).send(command);

    expect(answer.Parameter?.Value).not.toBe("postgres://one");
  });

  test("does not find a parameter that does not exist", async () => {
    await expect(readParameter("/missing")).rejects.toMatchObject({ name: "ParameterNotFound" });
  });
});

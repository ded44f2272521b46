import { dirname, join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { type LocalSecrets, startSecrets } from "../../../local/aws/secrets.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { type Ended, neonMigrateIn } from "../../setup/neon-migrate.ts";
import { makeProject } from "../../setup/project.ts";
import { test } from "../../setup/test.ts";

const SECRET = "shop/database-url";

async function secretOf(url: string): Promise<LocalSecrets> {
  const secrets = await startSecrets();
  onTestFinished(() => secrets.stop());
  secrets.set(SECRET, url);
  return secrets;
}

/** Nothing of these tests comes to an account: only secrets are there. */
async function smoke(
  words: readonly string[],
  { environment }: Pick<LocalSecrets, "environment">,
  proxy: string,
  project: string = makeProject({}),
): Promise<Ended> {
  const env = { ...environment, NEON_WS_PROXY: proxy, PATH: dirname(process.execPath) };
  return await neonMigrateIn(project, ["smoke", ...words], env);
}

async function expectNothingMade({ sql }: TestDatabase): Promise<void> {
  const found = await sql("select nspname from pg_namespace where nspname like 'neon_migrate%'");
  expect(found).toEqual([]);
}

describe("what the smoke test needs is looked for before anything is made", () => {
  test("a role that may create no schema is refused, with the grant that helps", async ({
    database,
    relay,
  }) => {
    const role = await database.createRole("reader");
    const secrets = await secretOf(database.urlOf(role));
    const words = ["--secret", SECRET, "--yes"];

    const { exitCode, stdout, stderr } = await smoke(words, secrets, relay.address);

    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    const [, grant = ""] = /(grant create on database [^;]*;)/.exec(stderr) ?? [];
    expect(stderr).toContain("LEDGER_DENIED");
    expect(stderr).toContain("Nothing was made. As the owner of the database:");
    await expectNothingMade(database);

    await database.sqlAsOwner(grant);
    const granted = await smoke(["--secret", SECRET], secrets, relay.address);
    expect(granted.exitCode).toBe(0);
    expect(granted.stdout).toContain(`in ${database.name} on 127.0.0.1, as ${role.name}`);
  });

  test("a session that may only read is refused", async ({ database, relay }) => {
    await database.sql(`alter role ${database.owner.name} set default_transaction_read_only = on`);
    const secrets = await secretOf(database.url);

    const { exitCode, stderr } = await smoke(["--secret", SECRET, "--yes"], secrets, relay.address);

    expect(exitCode).toBe(1);
    expect(stderr).toContain("READ_ONLY");
    expect(stderr).toContain("takes no writes. Nothing was made.");
    await expectNothingMade(database);
  });

  test("a project without CDK is told what to install", async ({ database, relay }) => {
    const secrets = await secretOf(database.url);
    const project = makeProject({}, null);
    const words = ["--secret", SECRET, "--yes", "--json"];

    const { exitCode, stdout } = await smoke(words, secrets, relay.address, project);

    expect(exitCode).toBe(1);
    const { code, message } = JSON.parse(stdout).error;
    expect(code).toBe("CDK_MISSING");
    expect(message).toContain(
      "Nothing was made. Install it: npm install --save-dev aws-cdk@2 aws-cdk-lib@2 constructs@10",
    );
    await expectNothingMade(database);
  });

  test.for([
    [[], "that of DATABASE_URL in .env, which the function cannot read"],
    [["--no-config", "--env-file", "empty"], "Nothing names one here: No drizzle.config file"],
  ] as const)(
    "a connection string that the function cannot read is refused: %j",
    async ([words, reason], { database, relay }) => {
      const secrets = await secretOf(database.url);
      const files = { ".env": `DATABASE_URL=${database.url}\n`, empty: "" };

      const { exitCode, stderr } = await smoke(
        [...words, "--yes"],
        secrets,
        relay.address,
        makeProject(files),
      );

      expect(exitCode).toBe(1);
      expect(stderr).toContain("CONFIG_INVALID");
      expect(stderr).toContain(reason);
      expect(stderr).toContain("Nothing was made. Name one with --secret or --parameter");
      await expectNothingMade(database);
      expect(stderr).not.toContain(database.owner.password);
    },
  );

  test("a secret that is not there is named", async ({ database, relay }) => {
    const secrets = await secretOf(database.url);

    const { exitCode, stderr } = await smoke(["--secret", "none", "--yes"], secrets, relay.address);

    expect(exitCode).toBe(1);
    expect(stderr).toContain("SECRET_UNAVAILABLE");
    expect(stderr).toContain("none");
  });

  test("the plan takes the secret of the environment, finds CDK above, and makes nothing", async ({
    database,
    relay,
  }) => {
    const secrets = await secretOf(JSON.stringify({ db: database.url }));
    const project = makeProject({
      "app/.env": `DATABASE_URL_SECRET=${SECRET}\nDATABASE_URL_SECRET_FIELD=db\n`,
    });

    const { exitCode, stdout, stderr } = await smoke(
      ["--kms-key", "arn:aws:kms:x"],
      secrets,
      relay.address,
      join(project, "app"),
    );

    expect(exitCode).toBe(0);
    expect(stderr).toBe("Read .env (DATABASE_URL_SECRET, DATABASE_URL_SECRET_FIELD).\n");
    expect(stdout).toContain(`by ${join("..", "node_modules", "aws-cdk")}`);
    expect(stdout).toContain(
      `neon-migrate smoke --yes --secret ${SECRET} --secret-field db --kms-key arn:aws:kms:x`,
    );
    expect(stdout).toContain("Nothing was made. Do it:");
    await expectNothingMade(database);
  });
});

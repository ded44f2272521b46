import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NeonMigrations, type NeonMigrationsProps } from "../../infra/neon-migrations.ts";

const scratch = mkdtempSync(join(tmpdir(), "config-"));
const config = join(scratch, "drizzle.config.ts");

beforeAll(() => {
  cpSync("tests/fixtures/folders/good", join(scratch, "migrations"), { recursive: true });
  writeFileSync(
    config,
    `export default {
      dialect: "postgresql",
      out: "./migrations",
      migrations: { schema: "app_meta", table: "my_migrations" },
      dbCredentials: { url: "postgres://u:geheim@h/d" },
    };`,
  );
});

afterAll(() => rmSync(scratch, { recursive: true }));

function stackWith(props: Omit<NeonMigrationsProps, "databaseUrl">): Stack {
  const stack = new Stack(new App(), "Shop");
  const secret = Secret.fromSecretNameV2(stack, "Secret", "shop/database-url");
  new NeonMigrations(stack, "Migrations", { databaseUrl: { secret }, check: false, ...props });
  return stack;
}

function variablesOf(stack: Stack): unknown {
  const found = Template.fromStack(stack).findResources("AWS::Lambda::Function");
  return Object.values(found)[0]?.Properties.Environment.Variables;
}

const secret = { DATABASE_URL_SECRET: expect.anything() };

describe("GIVEN a drizzle.config file with a folder, a ledger and a database", () => {
  test.each<[string, Omit<NeonMigrationsProps, "databaseUrl">, object]>([
    ["it is named", { config }, { LEDGER_SCHEMA: "app_meta", LEDGER_TABLE: "my_migrations" }],
    [
      "a prop names the table",
      { config, ledger: { table: "mine" } },
      { LEDGER_SCHEMA: "app_meta", LEDGER_TABLE: "mine" },
    ],
    [
      "props name the ledger",
      { config, ledger: { schema: "public", table: "mine" } },
      { LEDGER_SCHEMA: "public", LEDGER_TABLE: "mine" },
    ],
    ["none is to be read", { config: false, migrations: join(scratch, "migrations") }, {}],
  ])("WHEN %s THEN the function has the ledger, and never that database", (_, props, ledger) => {
    expect(variablesOf(stackWith(props))).toEqual({ ...secret, ...ledger });
  });

  test("WHEN it is named THEN the synth compiles its folder, and says what is from it", () => {
    const stack = stackWith({ config });
    const own = stackWith({ config: false, migrations: join(scratch, "migrations") });
    const hashOf = (each: Stack) =>
      Object.values(Template.fromStack(each).findResources("Custom::NeonMigrations"))[0]?.Properties
        .MigrationsHash;

    expect(hashOf(stack)).toBe(hashOf(own));
    Annotations.fromStack(stack).hasInfo(
      "/Shop/Migrations",
      Match.stringLikeRegexp(
        "drizzle.config.ts names the ledger: schema app_meta, table my_migrations",
      ),
    );
  });

  test.each<[Omit<NeonMigrationsProps, "databaseUrl">, RegExp]>([
    [
      { config: "no/such.config.ts" },
      /^Shop\/Migrations: PROJECT_CONFIG_INVALID: no\/such\.config\.ts does not exist\. .*name another with config, or read none with config: false\./s,
    ],
    [
      { config: false, migrations: "no/such/folder" },
      /^Shop\/Migrations: FOLDER_NOT_FOUND: .*no\/such\/folder/s,
    ],
    [
      { config, migrations: "no/such/folder" },
      /FOLDER_NOT_FOUND: .*drizzle\.config\.ts names .*migrations as out\. Omit migrations to use that folder\./s,
    ],
    [
      { config, migrations: "docs" },
      /JOURNAL_MISSING: docs has no migrations: .*drizzle\.config\.ts names .*migrations as out\./s,
    ],
  ])("WHEN %j is not there THEN the synth fails in the words of the props", (props, message) => {
    expect(() => stackWith(props)).toThrow(message);
  });
});

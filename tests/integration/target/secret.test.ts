import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import { readConfig } from "../../../lib/target/config.ts";
import { resolveTarget } from "../../../lib/target/secret.ts";
import { type LocalSecrets, startSecrets } from "../../../local/aws/secrets.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { expectReport } from "../../setup/report-schema.ts";

const NAME = "shop/database";
const BUNDLE = makeBundle(makeMigration("0000_init", 1, "create table t (a int)"));

let database: TestDatabase;
let secrets: LocalSecrets;
let relay: string;
/** The connection string before the password was rotated. */
let stale: string;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = (await database.startRelay({ mode: "neon" })).address;
  secrets = await startSecrets();
  for (const [name, value] of Object.entries(secrets.environment)) vi.stubEnv(name, value);
  const parts = new URL(database.url);
  parts.password = `stale-${randomBytes(8).toString("hex")}`;
  stale = parts.href;
  return async () => {
    await secrets.stop();
    await database.close();
  };
});

afterEach(() => {
  vi.unstubAllEnvs();
});

async function run(settings: Readonly<Record<string, string>>): Promise<Report> {
  const config = readConfig({ NEON_WS_PROXY: relay, CONNECT_TIMEOUT_MS: "120000", ...settings });
  const report = await migrate(parseRequest({}), {
    bundle: BUNDLE,
    target: () => resolveTarget(config),
    requestId: "test",
    deadline: null,
    log: silentLog,
  });
  return expectReport(JSON.parse(JSON.stringify(report)));
}

function parts(changes: object = {}): string {
  const { hostname, port, username, password } = new URL(database.url);
  const fields = { host: hostname, port, username, password, dbname: database.name };
  return JSON.stringify({ ...fields, ...changes });
}

const bySecret = { DATABASE_URL_SECRET: NAME };
const byParameter = { DATABASE_URL_PARAMETER: NAME };

// The SDK's own default gives up behind the third.
test.each([bySecret, byParameter])(
  "AWS may throttle three calls in a row, by %j",
  async (settings) => {
    secrets.set(NAME, database.url);
    secrets.throttle(3);

    const { status, error } = await run(settings);

    expect([status, error?.message]).toEqual(["applied", undefined]);
  },
);

describe("a connection string is found", () => {
  const forms: readonly (readonly [string, () => string])[] = [
    ["as it is", () => `${database.url}\n`],
    ["in a field", () => JSON.stringify({ url: database.url })],
    ["in RDS' parts", () => parts({ engine: "postgres" })],
    ["in a driver's parts", () => parts({ username: undefined, user: database.owner.name })],
  ];

  test.each(forms)("%s, in a secret and in a parameter", async (_form, value) => {
    secrets.set(NAME, value());

    const reports = [await run(bySecret), await run(byParameter)];

    expect(reports.map(({ status, warnings }) => [status, warnings])).toEqual([
      ["applied", []],
      ["up-to-date", []],
    ]);
  });

  test.each([
    { ...bySecret, DATABASE_URL_SECRET_FIELD: "migrator" },
    { DATABASE_URL_SECRET: `${NAME}#migrator` },
  ])("in the field that is named: %j", async (settings) => {
    secrets.set(NAME, JSON.stringify({ url: stale, migrator: database.url }));

    const report = await run(settings);

    expect(report.status).toBe("applied");
  });
});

test.each([
  ["", "it is empty"],
  ["{}", "holds no connection string"],
])("a secret that is %j is unavailable, in words that say why", async (value, why) => {
  secrets.set(NAME, value);

  for (const settings of [bySecret, byParameter]) {
    const { error } = await run(settings);
    expect(error).toMatchObject({
      code: "SECRET_UNAVAILABLE",
      message: expect.stringContaining(why),
    });
  }
});

describe("a password that is rotated between the reading and the login", () => {
  test.each([bySecret, byParameter])("is read again, and the run goes on: %j", async (settings) => {
    secrets.set(NAME, stale, database.url);

    const report = await run(settings);

    expect(report).toMatchObject({ status: "applied", warnings: [{ code: "SECRET_ROTATED" }] });
    expect(secrets.reads(NAME)).toBe(2);
    expect(await database.sql("select to_regclass('t') is not null as there")).toEqual([
      { there: true },
    ]);
  });

  test("is read again once, not as often as it is refused", async () => {
    secrets.set(NAME, stale, `${stale}2`, database.url);

    const report = await run(bySecret);

    expect(report).toMatchObject({ status: "failed", error: { code: "LOGIN_FAILED" } });
    expect(secrets.reads(NAME)).toBe(2);
  });
});

describe("a login that is refused for good", () => {
  test("is reported after the secret was read again, and it was the same", async () => {
    secrets.set(NAME, stale);

    const report = await run(bySecret);

    expect(report).toMatchObject({ error: { code: "LOGIN_FAILED" }, warnings: [] });
    expect(secrets.reads(NAME)).toBe(2);
    expect(JSON.stringify(report)).not.toContain("stale-");
  });

  test("is what is reported when the secret cannot be read again", async () => {
    secrets.set(NAME, stale);
    const config = readConfig({ NEON_WS_PROXY: relay, ...bySecret });

    const report = await migrate(parseRequest({}), {
      bundle: BUNDLE,
      target: async () => {
        const target = await resolveTarget(config);
        secrets.deny(NAME);
        return target;
      },
      requestId: "test",
      deadline: null,
      log: silentLog,
    });

    expect(report.error?.code).toBe("LOGIN_FAILED");
  });
});

test("an endpoint for one service wins over the one for all", async () => {
  vi.stubEnv("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
  vi.stubEnv("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.url);
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", secrets.url);
  secrets.set(NAME, database.url);

  const reports = [await run(bySecret), await run(byParameter)];

  expect(reports.map(({ status }) => status)).toEqual(["applied", "up-to-date"]);
});

test("a plain connection string works, and in a function is warned of", async () => {
  const settings = { DATABASE_URL: database.url };

  const [shell, lambda] = [
    await run(settings),
    await run({ ...settings, AWS_LAMBDA_FUNCTION_NAME: "neon-migrations" }),
  ];

  expect([shell.status, shell.warnings]).toEqual(["applied", []]);
  expect(lambda.warnings).toMatchObject([{ code: "PLAINTEXT_DATABASE_URL" }]);
});

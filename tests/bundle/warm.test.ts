import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";

const NAME = "shop/database";

let database: TestDatabase;
let secrets: LocalSecrets;
let folder: string;
let lambda: LocalLambda;

beforeEach(async () => {
  [database, secrets] = await Promise.all([createTestDatabase(), startSecrets()]);
  secrets.set(NAME, database.url);
  folder = mkdtempSync(join(tmpdir(), "warm-"));
  cpSync(inject("assetFolder"), folder, { recursive: true });
  return async () => {
    rmSync(folder, { recursive: true });
    await Promise.all([secrets.stop(), database.close()]);
  };
});

afterEach(() => lambda.stop());

async function start(settings: Readonly<Record<string, string>>): Promise<void> {
  const { DATABASE_URL: _plain, ...rest } = await database.functionEnvironment();
  const environment = { ...rest, ...secrets.environment, ...settings };
  lambda = startLambda({ handlerDirectory: folder, environment });
}

const statusOf = (payload: unknown) => Reflect.get(Object(payload), "status");

describe.each([
  ["secret", { DATABASE_URL_SECRET: NAME }],
  ["parameter", { DATABASE_URL_PARAMETER: NAME }],
])("a function that has answered once, and has a %s", (_kind, settings) => {
  test("reads its value anew, on the connection that it has", async () => {
    await start(settings);

    const answers = [await lambda.invoke({}), await lambda.invoke({}), await lambda.invoke({})];

    expect(answers.map(({ coldStart }) => coldStart)).toEqual([true, false, false]);
    expect(answers.map(({ payload }) => statusOf(payload))).toEqual([
      ...["applied", "up-to-date", "up-to-date"],
    ]);
    expect([secrets.reads(NAME), secrets.connections()]).toEqual([3, 1]);
  });

  test("takes a new client after a refusal, so that it reads its credentials anew", async () => {
    await start(settings);
    await lambda.invoke({});
    secrets.deny(NAME, { forCalls: 1 });

    const { payload } = await lambda.invoke({});

    expect(statusOf(payload)).toBe("up-to-date");
    expect([secrets.reads(NAME), secrets.connections()]).toEqual([3, 2]);
  });
});

test("a function that has answered once has its bundle in memory", async () => {
  await start({ DATABASE_URL_SECRET: NAME });
  await lambda.invoke({});
  rmSync(join(folder, "bundle.json"));

  const { payload, coldStart } = await lambda.invoke({});

  expect([coldStart, statusOf(payload)]).toEqual([false, "up-to-date"]);
});

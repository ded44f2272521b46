import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  inject,
  onTestFinished,
  test,
} from "vitest";
import type { Migration } from "../../lib/bundle/bundle.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { startCloudFormation } from "../../local/cloudformation/cloudformation.ts";
import { type Invocation, type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { makeBundle, makeMigration } from "../setup/make-migration.ts";
import { expectNoTrace, MARKER, tellingSql, unencoded } from "../setup/marker.ts";
import { sample } from "../setup/tries.ts";

/** Stands before the function's own code: shows what Lambda would not, and throws when nobody catches. */
const WITNESS = `
import { inspect } from "node:util";
import { handler as inner } from "./function.mjs";
export async function handler(event, context) {
  console.log("title", process.title, process.argv);
  if (event?.trigger !== undefined) {
    const text = process.env.DATABASE_URL + " " + decodeURIComponent(new URL(process.env.DATABASE_URL).password);
    setTimeout(() => { throw new Error(text, { cause: new Error(text) }); }, 1_000);
  }
  try {
    return await inner(event?.bomb === undefined ? event : { action: event.action }, context);
  } catch (thrown) {
    console.log("thrown", inspect(thrown, { depth: Infinity, showHidden: true }), thrown.stack);
    throw thrown;
  }
}
`;

let database: TestDatabase;
let url: string;
let relay: string;
let secrets: LocalSecrets;
let harmless: string;
let telling: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const role = await database.createRole("marked", { password: MARKER });
  await database.sql(`grant create on database ${database.name} to ${role.name}`);
  url = database.urlOf(role);
  relay = (await database.startRelay({ mode: "neon" })).address;
  secrets = await startSecrets();
  harmless = deploy(makeMigration("0000_harmless", 1, "select 1"));
  telling = deploy(makeMigration("0001_telling", 2, tellingSql(url)));
});

afterEach(async () => {
  // A ledger in another place would be found by the next run, which has another one.
  const schemas = await database.sql(
    "select quote_ident(nspname) as name from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'",
  );
  for (const { name } of schemas) await database.sql(`drop schema ${String(name)} cascade`);
});

afterAll(async () => {
  await Promise.all([...lambdas.values()].map((lambda) => lambda.stop()));
  await secrets.stop();
  await database.close();
  for (const folder of [harmless, telling]) rmSync(folder, { recursive: true });
});

/** A directory as it is deployed, with one migration, and the witness before it. */
function deploy(migration: Migration): string {
  const folder = mkdtempSync(join(tmpdir(), "marked-"));
  cpSync(inject("assetFolder"), folder, { recursive: true });
  renameSync(join(folder, "index.mjs"), join(folder, "function.mjs"));
  writeFileSync(join(folder, "index.mjs"), WITNESS);
  writeFileSync(join(folder, "bundle.json"), JSON.stringify(makeBundle(migration)));
  return folder;
}

interface Scene {
  readonly environment?: Readonly<Record<string, string>>;
  readonly event?: unknown;
  readonly handlerDirectory?: string;
}

/** Functions by what they are made of: one serves every scene that needs no other. */
const lambdas = new Map<string, LocalLambda>();

async function play({ environment, event = {}, handlerDirectory }: Scene): Promise<Invocation> {
  const options = {
    handlerDirectory: handlerDirectory ?? harmless,
    environment: {
      NEON_WS_PROXY: relay,
      ...secrets.environment,
      ...(environment ?? { DATABASE_URL: url }),
    },
  };
  const key = JSON.stringify(options);
  const lambda = lambdas.get(key) ?? startLambda(options);
  lambdas.set(key, lambda);
  return await lambda.invoke(event);
}

/** The code of a failed report, of a thrown error, or of an HTTP response. */
function codeOf(payload: unknown): unknown {
  const { errorType, body, error, status } = Object(payload);
  if (body !== undefined) return codeOf(JSON.parse(body));
  return errorType ?? error?.code ?? status;
}

const otherUrl = (change: (parts: URL) => void): string => {
  const parts = new URL(url);
  change(parts);
  return parts.href;
};

/** For what is tried again until the time to connect is over. */
const BRIEFLY = { CONNECT_TIMEOUT_MS: "600" };

describe("no trace of the password leaves the function", () => {
  const environments: readonly (readonly [string, string, () => Record<string, string>])[] = [
    ["when all is well", "applied", () => ({ DATABASE_URL: url })],
    [
      "with the key of Neon's API beside it",
      "applied",
      () => ({ DATABASE_URL: url, NEON_API_KEY: "napi_mArKer0123", NEON_PROJECT_ID: "a-project" }),
    ],
    [
      "with a wrong password",
      "LOGIN_FAILED",
      () => ({
        DATABASE_URL: otherUrl((parts) => {
          parts.password = encodeURIComponent(`${MARKER}!`);
        }),
      }),
    ],
    [
      "with a host that does not exist",
      // On a busy machine the last attempt may have no time left.
      "UNREACHABLE|CONNECT_TIMEOUT",
      () => ({
        NEON_WS_PROXY: "",
        ...BRIEFLY,
        DATABASE_URL: otherUrl((parts) => {
          parts.hostname = "nowhere.invalid";
        }),
      }),
    ],
    [
      "with a relay that is gone",
      "UNREACHABLE|CONNECT_TIMEOUT",
      () => ({ ...BRIEFLY, NEON_WS_PROXY: "127.0.0.1:1/x", DATABASE_URL: url }),
    ],
    [
      "with an unknown database",
      "DATABASE_NOT_FOUND",
      () => ({
        DATABASE_URL: otherUrl((parts) => {
          parts.pathname = "/nothing";
        }),
      }),
    ],
    [
      "with an unknown parameter in the URL",
      "applied",
      () => ({ DATABASE_URL: `${url}?mArKer=mArKer` }),
    ],
    [
      "with a URL that is not encoded",
      "DATABASE_URL_INVALID",
      () => ({ DATABASE_URL: unencoded(url) }),
    ],
    [
      "with a URL in which an @ is not encoded",
      "DATABASE_URL_INVALID",
      () => ({ DATABASE_URL: url.replace(/:[^:@/]*@/, ":x@mArKer/mArKer@") }),
    ],
    [
      "with a URL of another kind",
      "DATABASE_URL_INVALID",
      () => ({ DATABASE_URL: url.replace("postgres", "mysql") }),
    ],
    ["with the password as URL", "DATABASE_URL_INVALID", () => ({ DATABASE_URL: MARKER })],
    ["with the URL as a secret's name", "SECRET_UNAVAILABLE", () => ({ DATABASE_URL_SECRET: url })],
    [
      "with a raw URL as a secret's name",
      "SECRET_UNAVAILABLE",
      () => ({ DATABASE_URL_SECRET: unencoded(url) }),
    ],
    [
      "with the URL as a parameter's name",
      "SECRET_UNAVAILABLE",
      () => ({ DATABASE_URL_PARAMETER: url }),
    ],
    [
      "with the URL as time-out",
      "CONFIG_INVALID",
      () => ({ DATABASE_URL: url, CONNECT_TIMEOUT_MS: url }),
    ],
    [
      "with the URL as relay",
      "UNREACHABLE|CONNECT_TIMEOUT",
      () => ({ ...BRIEFLY, DATABASE_URL: url, NEON_WS_PROXY: url }),
    ],
    [
      "with the URL as the ledger's schema",
      "applied",
      () => ({ DATABASE_URL: url, LEDGER_SCHEMA: url }),
    ],
  ];

  test.each(sample(environments))("%s (%s)", async (_name, code, environment) => {
    const { payload, logs } = await play({ environment: environment() });

    expect(code.split("|")).toContain(codeOf(payload));
    expectNoTrace(payload, logs);
  });

  const values: readonly (readonly [string, string, () => string, string])[] = [
    ["good, as text", "applied", () => url, ""],
    ["a wrong field", "SECRET_UNAVAILABLE", () => fields({ url }), "gone"],
    ["the password's field", "DATABASE_URL_INVALID", () => fields({ url }), "password"],
    ["no field of ours", "SECRET_UNAVAILABLE", () => JSON.stringify({ dsn: url }), ""],
    ["JSON that was cut", "SECRET_UNAVAILABLE", () => fields({ url }).slice(0, -3), ""],
    ["a JSON text", "DATABASE_URL_INVALID", () => JSON.stringify(url), ""],
    ["a list", "DATABASE_URL_INVALID", () => JSON.stringify([url]), ""],
    ["parts", "applied", () => fields({}), ""],
    ["parts with an odd host", "DATABASE_URL_INVALID", () => fields({ host: "a b" }), ""],
    ["parts with the URL as host", "DATABASE_URL_INVALID", () => fields({ host: url }), ""],
    ["parts with an odd port", "SECRET_UNAVAILABLE", () => fields({ port: { toString: 1 } }), ""],
    ["parts with a list as database", "SECRET_UNAVAILABLE", () => fields({ dbname: [MARKER] }), ""],
    ["parts with half a character", "SECRET_UNAVAILABLE", () => fields({ username: "\ud83d" }), ""],
    [
      "parts with the password as database",
      "DATABASE_NOT_FOUND",
      () => fields({ dbname: MARKER }),
      "",
    ],
  ];

  test.each(sample(values))("when the secret is %s (%s)", async (_name, code, value, field) => {
    secrets.set("marked", value());
    secrets.set("/marked", value());
    const reference = { DATABASE_URL_SECRET: "marked", DATABASE_URL_SECRET_FIELD: field };

    const secret = await play({ environment: reference });
    const parameter = await play({ environment: { DATABASE_URL_PARAMETER: "/marked" } });

    expect(codeOf(secret.payload)).toBe(code);
    expectNoTrace(secret, parameter);
  });

  const post = (more: object) => ({
    rawPath: "/migrations",
    requestContext: { http: { method: "POST" } },
    ...more,
  });
  const events: readonly (readonly [string, string, () => unknown])[] = [
    ["as action", "REQUEST_INVALID", () => ({ action: url })],
    ["as duration", "REQUEST_INVALID", () => ({ lockTimeoutMs: unencoded(url) })],
    ["as a field's name", "UNSUPPORTED_EVENT", () => ({ [url]: url })],
    ["as the event itself", "UNSUPPORTED_EVENT", () => url],
    ["in another service's event", "UNSUPPORTED_EVENT", () => ({ Records: [{ body: url }] })],
    ["as body", "REQUEST_INVALID", () => post({ body: url })],
    [
      "in a body",
      "REQUEST_INVALID",
      () => post({ body: JSON.stringify({ action: "up", executor: url }) }),
    ],
    ["as path", "NOT_FOUND", () => post({ rawPath: url })],
    ["as method", "METHOD_NOT_ALLOWED", () => post({ requestContext: { http: { method: url } } })],
    ["in the query", "REQUEST_INVALID", () => post({ queryStringParameters: { action: url } })],
  ];

  test.each(events)("when the URL is sent %s (%s)", async (_name, code, event) => {
    const { payload, logs } = await play({ event: event() });

    expect(codeOf(payload)).toBe(code);
    expectNoTrace(payload, logs);
  });

  test.each([
    ["thrown", {}],
    ["returned", { onFailure: "return" }],
    ["answered to HTTP", post({ body: "{}" })],
    ["answered to a framework", { RequestType: "Create", LogicalResourceId: "Run" }],
  ])("when the server's own message holds it: %s", async (_name, event) => {
    const { payload, logs } = await play({ event, handlerDirectory: telling });

    expect(codeOf(payload)).toBe("MIGRATION_FAILED");
    expectNoTrace(payload, logs);
  });

  test("when nobody caught what was thrown", async () => {
    const holder = await database.hold("create schema drizzle");
    onTestFinished(() => holder.release());
    const lambda = startLambda({
      handlerDirectory: harmless,
      environment: { NEON_WS_PROXY: relay, DATABASE_URL: url },
    });
    // Before the holder: what nobody waits for any more must not go on.
    onTestFinished(() => lambda.stop());

    const { payload, logs } = await lambda.invoke({ trigger: 1, action: "up" });

    expect(codeOf(payload)).toBe("INTERNAL");
    expect(JSON.stringify(payload)).toContain("[redacted]");
    expectNoTrace(payload, logs);
  });

  test.each([
    ["a migration fails", () => ({}), "MIGRATION_FAILED"],
    ["a property is the URL", () => ({ executor: url }), "REQUEST_INVALID"],
  ])("in an answer to CloudFormation when %s", async (_name, properties, code) => {
    const invocations: Invocation[] = [];
    const lambda = startLambda({
      handlerDirectory: telling,
      environment: { NEON_WS_PROXY: relay, DATABASE_URL: url },
    });
    onTestFinished(() => lambda.stop());
    const stack = await startCloudFormation({
      serviceToken: LOCAL_FUNCTION_ARN,
      invoke: async (event) => {
        invocations.push(...(await lambda.invokeAsync(event)));
      },
    });

    onTestFinished(() => stack.stop());

    const { exchanges } = await stack.create("Run", properties());

    expect(exchanges.map(({ status }) => status)).toEqual(["FAILED", "SUCCESS"]);
    expect(exchanges[0]?.reason).toContain(code);
    expectNoTrace(
      exchanges.map(({ answer }) => answer),
      invocations,
    );
  });
});

function fields(changes: object): string {
  const { hostname, port, username } = new URL(url);
  return JSON.stringify({
    host: hostname,
    port: Number(port),
    username,
    password: MARKER,
    dbname: database.name,
    ...changes,
  });
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { expectNoTrace, MARKER, tellingSql, unencoded } from "../../setup/marker.ts";
import { type Ended, neonMigrate as startCli } from "../../setup/neon-migrate.ts";
import { sample } from "../../setup/tries.ts";

/** Tells, in the last moment, by what name other users of the machine see the process. */
const TITLE = `data:text/javascript,${encodeURIComponent(
  'process.on("exit", () => process.stderr.write("title " + process.title));',
)}`;

let database: TestDatabase;
let url: string;
let scratch: string;
let harmless: string;
let telling: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const role = await database.createRole("marked", { password: MARKER });
  await database.sql(`grant create on database ${database.name} to ${role.name}`);
  url = database.urlOf(role);
  scratch = mkdtempSync(join(tmpdir(), "marked-"));
  harmless = writeFolder("harmless", "select 1;");
  telling = writeFolder("telling", tellingSql(url));
});

afterEach(async () => {
  await database.sql("drop schema if exists drizzle cascade");
});

afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await database.close();
});

/** A Drizzle folder with one migration. */
function writeFolder(name: string, sql: string): string {
  const folder = join(scratch, name);
  mkdirSync(join(folder, "meta"), { recursive: true });
  const entries = [{ idx: 0, when: 1, tag: "0000_first", breakpoints: true }];
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify({ entries }));
  writeFileSync(join(folder, "0000_first.sql"), sql);
  return folder;
}

/** Runs the command line, and has it say its title behind what it says itself. */
function neonMigrate(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return startCli(words, { NODE_OPTIONS: `--import=${TITLE}`, ...environment });
}

function withPart(name: "hostname" | "pathname" | "password", value: string): string {
  const parts = new URL(url);
  parts[name] = value;
  return parts.href;
}

describe("the command line shows no trace of the password", () => {
  const urls: readonly (readonly [string, number, string, () => string])[] = [
    ["when all is well", 0, "applied", () => url],
    ["for a wrong password", 1, "LOGIN_FAILED", () => withPart("password", "mArKer%2B%20")],
    ["for an unknown database", 1, "DATABASE_NOT_FOUND", () => withPart("pathname", "/nothing")],
    ["for an invalid URL", 1, "DATABASE_URL_INVALID", () => unencoded(url)],
    ["for a URL cut by an @", 1, "DATABASE_URL_INVALID", () => unencoded(url).replace("+", "@")],
  ];

  test.each(sample(urls))(
    "%s (%i %s), wherever the URL comes from",
    async (_name, exitCode, word, of) => {
      const words = ["up", "--folder", harmless, "--relay", "--json"];

      const [fromEnvironment, fromFlag] = await Promise.all([
        neonMigrate(words, { DATABASE_URL: of() }),
        neonMigrate(["up", "--folder", harmless, "--relay", "--url", of()]),
      ]);

      expect([fromEnvironment.exitCode, fromFlag.exitCode]).toEqual([exitCode, exitCode]);
      expect(fromEnvironment.stdout).toContain(word);
      expect(fromEnvironment.stderr).toContain("title ");
      expectNoTrace(fromEnvironment, fromFlag);
    },
  );

  test("for a host that cannot be reached", async () => {
    const environment = {
      DATABASE_URL: withPart("hostname", "nowhere.invalid"),
      CONNECT_TIMEOUT_MS: "400",
    };

    const ended = await neonMigrate(["up", "--folder", harmless], environment);

    expect(ended.exitCode).toBe(1);
    expectNoTrace(ended);
  });

  test.each([[["--json"]], [[]]])("when the server's own message holds it: %j", async (flags) => {
    const words = ["up", "--folder", telling, "--relay", ...flags];

    const ended = await neonMigrate(words, { DATABASE_URL: url });

    expect(ended.exitCode).toBe(1);
    const told = flags.length > 0 ? ended.stdout : ended.stderr;
    expect(told).toContain("MIGRATION_FAILED");
    expect(told).toContain("[redacted]");
    expectNoTrace(ended);
  });

  test.each(
    sample([
      ["CONNECT_TIMEOUT_MS", "CONFIG_INVALID"],
      // A slow machine has no time left for the refusal.
      ["NEON_WS_PROXY", "UNREACHABLE|CONNECT_TIMEOUT"],
      ["DATABASE_URL_SECRET", "SECRET_UNAVAILABLE"],
      ["DATABASE_URL_PARAMETER", "SECRET_UNAVAILABLE"],
    ]),
  )("when it stands in %s", async (name, code) => {
    const environment = {
      ...(name.startsWith("DATABASE") ? {} : { DATABASE_URL: url }),
      CONNECT_TIMEOUT_MS: "400",
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      [name]: url,
    };

    const ended = await neonMigrate(["status", "--folder", harmless, "--json"], environment);

    expect(JSON.parse(ended.stdout)).toMatchObject({
      error: { code: expect.stringMatching(`^(${code})$`) },
    });
    expectNoTrace(ended);
  });
});

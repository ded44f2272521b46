import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { runCli } from "../../../bin/cli.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { openBundle } from "../../../lib/bundle/open-bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { startSecrets } from "../../../local/aws/secrets.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { type Ended, neonMigrate } from "../../setup/neon-migrate.ts";
import { expectAmendment, expectReport } from "../../setup/report-schema.ts";
import { waitFor } from "../../setup/wait-for.ts";

const FOLDERS = "tests/fixtures/folders";

let scratch: string;
let handler: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "cli-"));
  handler = mkdtempSync(join(scratch, "handler-"));
  writeFileSync(join(handler, "index.mjs"), "export const handler = () => null;\n");
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** Runs the command line in this process, which takes a tenth of the time; without the colours that a build server gets. */
async function inProcess(words: readonly string[]): Promise<Ended> {
  const printed = { log: "", error: "" };
  const spies = (["log", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((text) => {
      printed[name] += `${stripVTControlCharacters(text)}\n`;
    }),
  );
  try {
    const exitCode = await runCli(words);
    return { exitCode, stdout: printed.log, stderr: printed.error };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

function reportOf({ stdout }: Ended) {
  return expectReport(JSON.parse(stdout));
}

describe("a wrong command line", () => {
  test.each([
    [],
    ["migrate"],
    ["up", "now"],
    ["up", "--color-of-hair", "red"],
    ["up", "--transaction", "some"],
    ["up", "--out-of-order"],
    ["up", "--lock-timeout-ms", "soon"],
    ["up", "--timeout-ms", "0"],
    ["up", "--secret", "a", "--url", "postgres://b"],
    ["up", "--parameter", "a", "--secret", "b"],
    ["bundle", "--handler"],
  ])("exits with 2 and says why on standard error: %s %s %s", async (...words) => {
    const ended = await neonMigrate(words);

    expect(ended).toMatchObject({ exitCode: 2, stdout: "" });
    expect(ended.stderr).toMatch(/^(error: |Usage: )/);
  });

  test("is none when help is asked for", async () => {
    const ended = await neonMigrate(["up", "--help"]);

    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    for (const flag of [
      "out-of-order",
      "transaction",
      "ddl-lock-timeout-ms",
      "ahead",
      "modified",
    ]) {
      expect(ended.stdout).toContain(`--${flag} `);
    }
  });
});

describe("a failure is on standard error for a person, and on standard output as JSON:", () => {
  const broken = ["--folder", `${FOLDERS}/journal-missing`];
  const nowhere = [...broken, "--url", "postgres://a:b@nowhere.invalid/c"];

  test.each([
    ["JOURNAL_MISSING", "up", ...nowhere],
    ["JOURNAL_MISSING", "plan", ...nowhere],
    ["JOURNAL_MISSING", "status", ...nowhere],
    ["JOURNAL_MISSING", "baseline", "--to", "0000_init", ...nowhere],
    ["JOURNAL_MISSING", "repair", "--merge-ledgers", ...nowhere],
    ["JOURNAL_MISSING", "bundle", "--out", "nowhere", ...broken],
    ["JOURNAL_MISSING", "check", ...broken],
    ["JOURNAL_MISSING", "local", ...broken],
    ["AWS_SETTINGS_MISSING", "invoke", "neon-migrations"],
  ])("%s %s", async (code, ...words) => {
    const environment = { AWS_EC2_METADATA_DISABLED: "true", AWS_CONFIG_FILE: "/nowhere" };

    const [shown, json] = await Promise.all([
      neonMigrate(words, environment),
      neonMigrate([...words, "--json"], environment),
    ]);

    expect(shown).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining(code) });
    expect(json.exitCode).toBe(1);
    expect(reportOf(json).error?.code).toBe(code);
    expect(json.stderr).not.toContain("Failed.");
  });
});

describe("bundle", () => {
  test("writes a ready asset whose bytes depend on the migrations only", async () => {
    const elsewhere = join(scratch, "moved", "good");
    cpSync(`${FOLDERS}/good`, elsewhere, { recursive: true });
    const [first, second] = [join(scratch, "first"), join(scratch, "second")];

    const ended = await neonMigrate([
      ...["bundle", "--folder", `${FOLDERS}/good`, "--out", first, "--handler", handler, "--json"],
    ]);
    await neonMigrate(["bundle", "--folder", elsewhere, "--out", second, "--handler", handler]);

    const bundle = await compileBundle(`${FOLDERS}/good`);
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(ended.stdout)).toMatchObject({
      hash: bundleHash(bundle.migrations),
      migrations: [{ tag: "0000_init" }, { tag: "0001_touch" }],
      files: [{ name: "index.mjs" }, { name: "bundle.json" }, { name: "migrations.jsonl" }],
      warnings: [],
    });
    const { overview: _, ...opened } = openBundle(join(first, "bundle.json"));
    expect(JSON.parse(JSON.stringify(opened))).toEqual(bundle);
    for (const name of ["bundle.json", "migrations.jsonl"]) {
      expect(readFileSync(join(second, name))).toEqual(readFileSync(join(first, name)));
    }
  });

  test("names the folder in shipped warnings without its place on this machine", async () => {
    const folder = join(scratch, "orphan-file");
    cpSync(`${FOLDERS}/orphan-file`, folder, { recursive: true });
    const out = join(scratch, "orphan-asset");

    await neonMigrate(["bundle", "--folder", `${folder}/`, "--out", out, "--handler", handler]);

    const { warnings } = openBundle(join(out, "bundle.json"));
    expect(warnings).toMatchObject([{ code: "ORPHAN_FILE" }]);
    expect(warnings[0]?.message).toMatch(/^orphan-file\/0001_forgotten\.sql /);
  });

  test("answers a broken folder with a failed report that names file, line and column", async () => {
    const out = join(scratch, "never");

    const ended = await neonMigrate([
      ...["bundle", "--folder", `${FOLDERS}/sql-invalid`, "--out", out, "--json"],
    ]);

    expect(ended.exitCode).toBe(1);
    expect(reportOf(ended)).toMatchObject({
      status: "failed",
      error: { code: "SQL_INVALID", migration: "0001_typo", statement: { line: 5, column: 2 } },
    });
    expect(reportOf(ended).error?.message).toContain("0001_typo.sql:5:2");
  });

  test("says how to get the prebuilt handler where it is missing", async () => {
    const ended = await neonMigrate([
      ...["bundle", "--folder", `${FOLDERS}/good`, "--out", join(scratch, "never"), "--json"],
      ...["--handler", join(scratch, "nowhere")],
    ]);

    expect(ended.exitCode).toBe(1);
    expect(reportOf(ended).error).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("npm run bundle"),
    });
  });
});

describe("up, plan and status", () => {
  let database: TestDatabase;
  const good = ["--folder", `${FOLDERS}/good`];

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(async () => {
    await database.close();
  });

  test("refuse a broken folder before anything connects", async () => {
    const ended = await neonMigrate(
      ["up", "--folder", `${FOLDERS}/journal-missing`, "--url", "postgres://a:b@nowhere.invalid/c"],
      {},
    );

    expect(ended).toMatchObject({ exitCode: 1, stdout: "" });
    expect(ended.stderr).toContain("JOURNAL_MISSING");
  });

  test("fail with a report when nothing names a database", async () => {
    const ended = await neonMigrate(["plan", ...good, "--json"]);

    expect(ended.exitCode).toBe(1);
    expect(reportOf(ended).error?.code).toBe("DATABASE_URL_MISSING");
  });

  test("play a deployment: plan, up, up again, status", async () => {
    const words = [...good, "--relay", "--json"];
    const environment = { DATABASE_URL: database.url };

    const planned = await neonMigrate(["plan", "--exit-code", ...words], environment);
    const applied = await neonMigrate(["up", ...words], environment);
    const again = await neonMigrate(["up", ...words], environment);
    const replanned = await neonMigrate(["plan", "--exit-code", ...words], environment);
    const status = await neonMigrate(["status", ...words], environment);

    const outcomes = [planned, applied, again, replanned, status].map((ended) => [
      ended.exitCode,
      reportOf(ended).status,
    ]);
    expect(outcomes).toEqual([
      [3, "planned"],
      [0, "applied"],
      [0, "up-to-date"],
      [0, "up-to-date"],
      [0, "up-to-date"],
    ]);
    expect(reportOf(status).applied.map(({ tag }) => tag)).toEqual(["0000_init", "0001_touch"]);
    expect(reportOf(status).warnings).toEqual([]);
    for (const { stdout, stderr } of [planned, applied, again, status]) {
      expect(stdout + stderr).not.toContain(database.owner.password);
    }
  });

  test("let --url win over everything that the environment says", async () => {
    const ended = await neonMigrate(
      ["status", ...good, "--relay", "--json", "--url", database.url],
      { DATABASE_URL: "postgres://a:b@nowhere.invalid/c", DATABASE_URL_SECRET: "nowhere" },
    );

    expect(ended.exitCode).toBe(0);
    expect(reportOf(ended).database?.name).toBe(database.name);
  });

  test("read a secret or a parameter with the credentials of a profile", async () => {
    const secrets = await startSecrets();
    onTestFinished(() => secrets.stop());
    const home = mkdtempSync(join(scratch, "home-"));
    mkdirSync(join(home, ".aws"));
    const profile = "[deployer]\naws_access_key_id=AKIAPROFILE\naws_secret_access_key=local\n";
    writeFileSync(join(home, ".aws", "credentials"), profile);
    const environment = {
      HOME: home,
      AWS_PROFILE: "deployer",
      AWS_REGION: "eu-central-1",
      AWS_ENDPOINT_URL: secrets.url,
      DATABASE_URL: "postgres://a:b@nowhere.invalid/c",
      DATABASE_URL_SECRET_FIELD: "of another one",
    };
    const stale = new URL(database.url);
    stale.password = "stale";
    secrets.set("shop/database", JSON.stringify({ migrator: database.url }));
    secrets.set("/shop/database", stale.href, database.url);
    const words = ["status", ...good, "--relay", "--json"];

    const ended = [
      await neonMigrate(
        [...words, "--secret", "shop/database", "--secret-field", "migrator"],
        environment,
      ),
      await neonMigrate([...words, "--parameter", "/shop/database"], environment),
    ];

    expect(ended.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(ended.map((each) => reportOf(each).database?.name)).toEqual(
      Array(2).fill(database.name),
    );
    expect(secrets.reads("/shop/database")).toBe(2);
    expect(secrets.accessKeys).toEqual(new Set(["AKIAPROFILE"]));
  });

  test("reach a PostgreSQL on this machine by themselves, and say so", async () => {
    const ended = await neonMigrate(["status", ...good, "--json", "--url", database.url]);
    const person = await neonMigrate(["status", ...good, "--url", database.url]);
    const quiet = await neonMigrate(["status", ...good, "--quiet", "--url", database.url]);

    const { hostname, port } = new URL(database.url);
    const [event] = ended.stderr.split("\n").map((line) => JSON.parse(line || "null"));
    expect(event).toMatchObject({ event: "relay.started", host: hostname, port: Number(port) });
    expect(person.stderr).toContain("is this machine: its PostgreSQL is reached over TCP");
    expect(quiet.stderr).toBe("");
    expect(ended.exitCode).toBe(0);
    expect(reportOf(ended).database).toMatchObject({ name: database.name });
  });

  test.each([["--relay"], []])(
    "say why nobody answers, with host and port %s",
    async (...relay) => {
      const nobody = "postgres://u:pw@127.0.0.1:1/nowhere";

      const ended = await neonMigrate(["status", ...good, ...relay, "--url", nobody]);

      expect(ended.exitCode).toBe(1);
      const reason = "127.0.0.1 could not be reached: connect ECONNREFUSED 127.0.0.1:1.";
      expect(ended.stderr.split("Trying again")).toHaveLength(2);
      expect(ended.stderr).toContain(`${reason} Trying again (attempt 2).`);
      expect(`${ended.stdout}${ended.stderr}`).toContain(`${reason} Check host and port`);
      expect(`${ended.stdout}${ended.stderr}`).not.toContain("Connection terminated");
    },
  );

  test("go through the relay that NEON_WS_PROXY names", async () => {
    const relay = await database.startRelay({ mode: "neon" });

    const ended = await neonMigrate(["status", ...good, "--json"], {
      DATABASE_URL: database.url,
      NEON_WS_PROXY: relay.address,
    });

    expect(ended.exitCode).toBe(0);
    expect(relay.stats().connections).toBeGreaterThan(0);
  });

  test("show a person where a migration failed, and that nothing was left behind", async () => {
    const folder = join(scratch, "failing");
    cpSync(`${FOLDERS}/good`, folder, { recursive: true });
    const journalPath = join(folder, "meta/_journal.json");
    const journal: { entries: object[] } = JSON.parse(readFileSync(journalPath, "utf8"));
    journal.entries.push({ idx: 2, version: "7", when: 1_900_000_000_000, tag: "0002_bad" });
    writeFileSync(journalPath, JSON.stringify(journal));
    writeFileSync(join(folder, "0002_bad.sql"), "create table t (a int);\nselect b from t;\n");

    const ended = await neonMigrate(["up", "--folder", folder, "--relay"], {
      DATABASE_URL: database.url,
    });

    expect(ended).toMatchObject({ exitCode: 1, stdout: "" });
    expect(ended.stderr).toContain(
      `MIGRATION_FAILED (SQLSTATE 42703)  ${join(folder, "0002_bad.sql")}:2:8`,
    );
    expect(ended.stderr).toContain("    2 | select b from t;\n               ^\n");
    expect(ended.stderr).toMatch(/^✗ 0002_bad +2 statements +failed at statement 2$/m);
    expect(ended.stderr.match(/, ledger drizzle\.__drizzle_migrations$/gm)).toHaveLength(1);
    expect(ended.stderr).toContain("No pending migration has left anything behind.");
    expect(ended.stderr).not.toContain(database.owner.password);
    expect(await database.sql("select to_regclass('t') as t")).toEqual([{ t: null }]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "are stopped by %s: the server rolls back, and the report says where it was",
    async (signal, exitCode) => {
      const folder = join(scratch, `slow-${signal}`);
      cpSync(`${FOLDERS}/good`, folder, { recursive: true });
      writeFileSync(
        join(folder, "meta/_journal.json"),
        JSON.stringify({
          version: "7",
          dialect: "postgresql",
          entries: [{ idx: 0, version: "7", when: 1_950_000_000_000, tag: "0000_slow" }],
        }),
      );
      writeFileSync(
        join(folder, "0000_slow.sql"),
        "create table s (a int); select pg_sleep(3600);\n",
      );

      const ended = await neonMigrate(
        ["up", "--folder", folder, "--relay", "--json", "--url", database.url],
        {},
        async (kill) => {
          await untilSleeping(database);
          kill(signal);
        },
      );

      expect(ended.exitCode).toBe(exitCode);
      expect(reportOf(ended)).toMatchObject({
        error: { code: "INTERRUPTED", migration: "0000_slow", statement: { index: 2, line: 1 } },
        atomic: true,
        pending: [{ tag: "0000_slow", done: 0 }],
      });
      expect(reportOf(ended).error?.message).toBe(
        `${signal} stopped this command; what was not committed is rolled back. The next run goes on with what is pending. It happened in migration 0000_slow, statement 2 (line 1). PostgreSQL: canceling statement due to user request (57014).`,
      );
      await waitFor(async () => {
        const sessions = await database.sql(
          "select from pg_stat_activity where datname = $1 and application_name like 'neon-migrate%'",
          [database.name],
        );
        return sessions.length === 0;
      });
      expect(await database.sql("select to_regclass('s') as s")).toEqual([{ s: null }]);
    },
  );
});

describe("baseline and repair", () => {
  let database: TestDatabase;
  let words: readonly string[];
  let folder: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    folder = join(scratch, "live");
    cpSync(`${FOLDERS}/good`, folder, { recursive: true });
    words = ["--folder", folder, "--relay", "--url", database.url];
  });

  afterAll(async () => {
    await database.close();
  });

  const baseline = ["baseline", "--to", "0000_init"];
  const rows = () => database.sql("select hash from drizzle.__drizzle_migrations order by id");

  test("refuse a database that is not what they were told, with a report or in words", async () => {
    const ended = await inProcess([...baseline, ...words, "--yes"]);
    const report = reportOf(await inProcess([...baseline, ...words, "--yes", "--json"]));

    expect(ended).toMatchObject({ exitCode: 1, stdout: "" });
    expect(ended.stderr).toContain("BASELINE_MISMATCH");
    expect(ended.stderr).toContain("users (0000_init)");
    expect(ended.stderr).toMatch(/Failed\. Nothing was written\.\n$/);
    expect(report.error).toMatchObject({ code: "BASELINE_MISMATCH", migration: "0000_init" });
    expect(await database.sql("select to_regnamespace('drizzle') as drizzle")).toEqual([
      { drizzle: null },
    ]);
  });

  test("adopt a live database: shown, written on --yes, and gone on from by up", async () => {
    await database.sqlAsOwner("create table users (id serial primary key, name text not null)");

    const shown = await inProcess([...baseline, ...words]);
    const nothing = await database.sql("select to_regnamespace('drizzle') as drizzle");
    const written = await neonMigrate([...baseline, ...words, "--yes", "--json"]);
    const report = reportOf(await inProcess(["up", ...words, "--json"]));

    expect(shown.exitCode).toBe(0);
    expect(shown.stdout.split("\n").slice(1)).toEqual([
      '· create the ledger "drizzle"."__drizzle_migrations"',
      '· insert 0000_init into "drizzle"."__drizzle_migrations" as applied',
      "Compared with the database: the names of 1 table, all of them there (users).",
      expect.stringMatching(
        /^Not compared: columns and their types, .* Make sure of these yourself\.$/,
      ),
      "Nothing was written. Repeat with --yes to write it.",
      "",
    ]);
    expect(nothing).toEqual([{ drizzle: null }]);
    expect(written.exitCode).toBe(0);
    expect(expectAmendment(JSON.parse(written.stdout))).toMatchObject({
      written: true,
      database: { name: database.name },
      changes: [{ migration: null }, { migration: "0000_init" }],
    });
    expect(written.stdout + written.stderr).not.toContain(database.owner.password);
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: "0001_touch" }] });
  });

  test("tell nobody the password of a connection that fails", async () => {
    const url = new URL(database.url);
    url.password = "Marker%20secret";

    const ended = await inProcess([...baseline, "--folder", folder, "--relay", "--url", url.href]);

    expect(ended).toMatchObject({
      exitCode: 1,
      ...{ stdout: "", stderr: expect.stringContaining("LOGIN_FAILED") },
    });
    expect(ended.stderr).not.toMatch(/Marker/);
  });

  test("show both hashes of a changed file, and end that drift", async () => {
    const [before] = await rows();
    writeFileSync(join(folder, "0000_init.sql"), "-- as it is in production\nselect 1;\n");
    const [changed] = (await compileBundle(folder)).migrations;

    const status = await inProcess(["status", ...words]);
    const refused = await inProcess(["plan", ...words, "--modified", "error"]);
    const accepted = await inProcess(["repair", "--accept", "0000_init", ...words, "--yes"]);
    const again = await inProcess(["repair", "--accept", "0000_init", ...words, "--yes"]);

    const hashes = `hash ${String(before?.hash).slice(0, 12)}… in the ledger, ${changed?.hash.slice(0, 12)}… in the`;
    expect(status.stdout).toMatch(/^~ {2}0000_init .*applied, modified since$/m);
    expect(status.stdout).toContain(hashes);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(hashes) });
    expect(accepted).toMatchObject({ exitCode: 0 });
    expect(accepted.stdout).toContain(`hash ${before?.hash} becomes ${changed?.hash}`);
    expect(accepted.stdout).toContain("Written: 1 change, in one transaction.");
    expect(again.stdout).toContain("There is nothing to write");
    expect((await rows())[0]).toEqual({ hash: changed?.hash });
  });
});

async function untilSleeping(database: TestDatabase): Promise<void> {
  await waitFor(async () => {
    const rows = await database.sql(
      "select 1 from pg_stat_activity where datname = $1 and query like '%pg_sleep%' and pid <> pg_backend_pid() and state = 'active'",
      [database.name],
    );
    return rows.length > 0;
  });
}

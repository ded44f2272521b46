import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { everythingIn } from "../../setup/everything.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";
import { expectReport } from "../../setup/report-schema.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

/** A folder for one test. */
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "uncaught-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Has the process of the command line run a script before it begins. A folder that is known would need no parser. */
function before(script: string): Readonly<Record<string, string>> {
  const path = join(scratch(), "before.mjs");
  writeFileSync(path, script);
  return { NODE_OPTIONS: `--import ${path}`, NEON_MIGRATE_CACHE: "off" };
}

/** Throws outside of every promise as soon as a file is there. */
const throwsAt = (file: string, message: string) =>
  before(`
    import { existsSync } from "node:fs";
    const look = setInterval(() => {
      if (!existsSync(${JSON.stringify(file)})) return;
      clearInterval(look);
      throw new TypeError(${JSON.stringify(message)});
    }, 5);`);

/** The parser of SQL never comes. */
const HANGS = "WebAssembly.instantiate = WebAssembly.compile = () => new Promise(() => {});";
const THROWS = `WebAssembly.instantiate = WebAssembly.compile = () => {
  setImmediate(() => { throw new Error("odd bytes"); });
  return new Promise(() => {});
};`;
const REJECTS = THROWS.replace("throw new Error", "Promise.reject(new Error").replace(
  '"odd bytes")',
  '"odd bytes"))',
);

const LINE =
  /^INTERNAL: An unexpected error stopped the migrator: .*\. Exit code 1\. NEON_MIGRATE_DEBUG=1 shows the stack\.$/m;

describe.each([
  ["hangs with nothing left to wait for", HANGS, "Its work did not end"],
  ["throws outside of every promise", THROWS, "odd bytes"],
  ["rejects a promise that nobody waits for", REJECTS, "odd bytes"],
])("a command that %s answers:", (_what, script, words) => {
  test.for([
    ["check"],
    ["bundle", "--out", "nowhere"],
    ["up", "--url", "postgres://a:b@127.0.0.1:1/c"],
    ["baseline", "--to", "0000_init", "--url", "postgres://a:b@127.0.0.1:1/c"],
  ])("%s", async (command) => {
    const line = [...command, "--folder", "tests/fixtures/folders/good"];

    const ended = await neonMigrate([...line, "--json"], before(script));

    expect(ended.exitCode).toBe(1);
    const { error } = expectReport(JSON.parse(ended.stdout));
    expect(error).toMatchObject({ code: "INTERNAL", message: expect.stringContaining(words) });
    expect(ended.stderr).toMatch(LINE);
    expect(ended.stderr).not.toMatch(/^ +at /m);
  });
});

test("the stack is shown where somebody asks for it, and a person gets the text", async () => {
  const environment = { ...before(THROWS), NEON_MIGRATE_DEBUG: "1" };

  const ended = await neonMigrate(
    ["check", "--folder", "tests/fixtures/folders/good"],
    environment,
  );

  expect(ended).toMatchObject({ exitCode: 1, stdout: "" });
  expect(ended.stderr).toMatch(/INTERNAL\nAn unexpected error stopped the migrator: .*odd bytes/);
  expect(ended.stderr).toMatch(/^Error: odd bytes\n +at /m);
});

test("a run in the middle of a migration tells how far it was, and leaves nothing of that migration", async ({
  database,
}) => {
  const folder = scratch();
  const gate = join(folder, "gate");
  writeJournaledFolder(folder, [
    { tag: "0000_slow", when: 1_000, sql: "create table slow ();\nselect pg_sleep(3600);\n" },
  ]);
  const found = await everythingIn(database);
  const environment = throwsAt(gate, `cannot read ${database.url}`);

  const ended = await neonMigrate(
    [
      "up",
      "--executor",
      "statements",
      "--folder",
      folder,
      "--relay",
      "--json",
      "--url",
      database.url,
    ],
    environment,
    async () => {
      await waitFor(async () => (await sessions("wait_event = 'PgSleep'")) === 1);
      writeFileSync(gate, "");
    },
  );
  await waitFor(async () => (await sessions("true")) === 0);

  expect(ended.exitCode).toBe(1);
  const report = expectReport(JSON.parse(ended.stdout));
  expect(report).toMatchObject({
    error: { code: "INTERNAL", migration: "0000_slow" },
    pending: [{ tag: "0000_slow", done: 0 }],
  });
  // The answer to the first statement may still be on its way.
  expect([1, 2]).toContain(report.error?.statement?.index);
  expect(ended.stdout + ended.stderr).not.toContain(database.owner.password);
  expect(await everythingIn(database)).toEqual(found);

  async function sessions(condition: string): Promise<number> {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate%' and (${condition})`,
    );
    return rows.length;
  }
});

test("a call of a function says that the function may go on", async () => {
  const gate = join(scratch(), "gate");
  const silent = createServer((socket) => {
    socket.on("error", () => undefined);
    writeFileSync(gate, "");
  });
  await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void silent.close());
  const address = silent.address();
  const port = typeof address === "object" ? address?.port : 0;

  const ended = await neonMigrate(["invoke", "neon-migrations", "--json"], {
    ...throwsAt(gate, "odd bytes"),
    ...{ AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${port}`, AWS_REGION: "eu-central-1" },
    ...{ AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
  });

  expect(ended.exitCode).toBe(1);
  expect(expectReport(JSON.parse(ended.stdout)).error).toMatchObject({
    code: "RUN_UNKNOWN",
    message: expect.stringMatching(
      /^An error of this command \(odd bytes\) ended the waiting, not/,
    ),
  });
});

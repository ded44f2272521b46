import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, inject, onTestFinished } from "vitest";
import type { TestDatabase } from "../../setup/database.ts";
import { everythingIn } from "../../setup/everything.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";
import { runOnTerminal } from "../../setup/terminal.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

/** Waits until the table has so many rows. */
const gate = (count: number) =>
  `do $$ begin while (select count(*) < ${count} from gate) loop perform pg_sleep(0.02); end loop; end $$;`;

/** A folder of three migrations, which wait at their second statements. */
function threeMigrations(): string {
  const folder = mkdtempSync(join(tmpdir(), "terminal-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeJournaledFolder(
    folder,
    [1, 2, 3].map((n) => ({
      tag: `000${n}_step`,
      when: n * 1_000,
      sql: `create table t${n} ();\n--> statement-breakpoint\n${gate(n)}\n--> statement-breakpoint\ncreate table u${n} ();\n`,
    })),
  );
  return folder;
}

async function wordsFor(database: TestDatabase, ...words: readonly string[]) {
  await database.sqlAsOwner("create table gate ()");
  return [
    "up",
    "--folder",
    threeMigrations(),
    "--no-config",
    "--relay",
    "--url",
    database.url,
    ...words,
  ];
}

async function open(database: TestDatabase): Promise<void> {
  await database.sqlAsOwner("insert into gate default values");
}

/** The catalog, and the sessions of runs. */
const left = async (database: TestDatabase) => ({
  catalog: await everythingIn(database),
  sessions: await database.sql(
    "select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate%'",
  ),
});

describe("on a terminal", () => {
  test("a run shows its plan, the statement that runs and what is through, and the report repeats nothing", async ({
    database,
  }) => {
    const words = await wordsFor(database, "--transaction", "each");
    const run = runOnTerminal(words, {}, { columns: 160 });

    await run.sees(/▸ 0001_step {2}2 of 3 {2}\d+ s {2}do \$\$ begin while/);
    const planned = await run.screen();
    await open(database);
    await run.sees("▸ 0002_step  2 of 3");
    const first = await run.screen();
    await open(database);
    await open(database);

    expect(await run.ended()).toBe(0);
    expect(planned.slice(0, 2)).toEqual([
      expect.stringMatching(new RegExp(`^${database.name} on .*, as .*, ledger drizzle\\.`)),
      "3 migrations pending, 9 statements, in several transactions",
    ]);
    expect(planned.slice(3)).toEqual(["· 2 more pending"]);
    expect(first[2]).toMatch(/^✓ 0001_step {2}3 statements +\d+ ms$/);
    const last = await run.screen();
    expect(last.filter((line) => line.startsWith("✓"))).toHaveLength(3);
    expect(last.join("\n")).not.toMatch(/▸|pending/);
  });

  test("what is not committed yet is not ticked, and is no line of the report of a failure", async ({
    database,
  }) => {
    const run = runOnTerminal(await wordsFor(database), {}, { columns: 160 });

    await open(database);
    await run.sees("▸ 0002_step  2 of 3");
    const open2 = await run.screen();
    await database.sqlAsOwner("create table u2 ()");
    await open(database);

    expect(await run.ended()).toBe(1);
    expect(open2[2]).toMatch(/^· 0001_step {2}3 statements +\d+ ms {2}not committed yet$/);
    const last = (await run.screen()).join("\n");
    expect(last).toContain("MIGRATION_FAILED (SQLSTATE 42P07)");
    expect(last).not.toMatch(/✓|▸|not committed yet/);
  });

  test.for([80, 30])(
    "a run that waits for a table names who holds it, in %i columns, and goes on",
    async (columns, { database }) => {
      await database.sqlAsOwner("create table t1 (id int)");
      const holder = await database.hold("insert into t1 values (1)");
      onTestFinished(() => holder.release());
      const words = await wordsFor(database);
      const folder = words[2] ?? "";
      writeJournaledFolder(folder, [
        { tag: "0001_wait", when: 1_000, sql: "alter table t1 add column a int;" },
      ]);

      const run = runOnTerminal(words, {}, { columns });
      await run.sees("last statement: ins");
      const waiting = await run.screen();
      await holder.release();

      expect(await run.ended()).toBe(0);
      const shown = waiting.join("\n");
      expect(shown).toMatch(/▸ 0001_wait {2}1 of 1/);
      expect(shown).toMatch(/ {2}waiting for \d+ s/);
      for (const line of waiting) expect(line.length).toBeLessThan(columns);
      const last = (await run.screen()).join("\n");
      expect(last).toContain("✓ 0001_wait");
      expect(last).not.toContain("waiting");
    },
  );

  test("a run that waits for another run names it, and Ctrl-C ends the wait", async ({
    database,
  }) => {
    const words = await wordsFor(database);
    const first = runOnTerminal(words);
    await first.sees("▸ 0001_step  2 of 3");

    const second = runOnTerminal(words);
    await second.sees(
      /waiting for \d+ s.*\n +neon-migrate\/\S+ \(pid \d+\), role .*\n +connected since .*\n +runs: do \$\$/,
    );
    second.type("\u0003");

    expect(await second.ended()).toBe(130);
    expect((await second.screen()).join("\n").replace(/\s+/g, " ")).toContain(
      "waiting for the migration lock of neon-migrate/",
    );
    for (let count = 0; count < 3; count += 1) await open(database);
    expect(await first.ended()).toBe(0);
  });

  test.for([
    ["in one transaction", ["--executor", "statements"]],
    ["behind a commit", ["--transaction", "each"]],
  ] as const)(
    "Ctrl-C says where it was, and leaves neither session nor table: %s",
    async ([, more], { database }) => {
      const words = await wordsFor(database, ...more);
      const isAll = more[0] === "--executor";
      if (isAll) await open(database);
      const found = await left(database);

      const run = runOnTerminal(words);
      await run.sees(/▸ 000\d_step {2}2 of 3/);
      if (!isAll) await open(database);
      await run.sees("▸ 0002_step  2 of 3");
      run.type("\u0003");

      expect(await run.ended()).toBe(130);
      const last = (await run.screen()).join("\n");
      expect(last).toContain("INTERRUPTED");
      expect(last).toMatch(/0002_step\.sql:3:1/);
      await waitFor(async () => (await left(database)).sessions.length === 0);
      const tables = await database.sql(
        "select relname::text from pg_class where relname ~ '^[tu][123]$' order by 1",
      );
      if (isAll) expect(await left(database)).toEqual(found);
      else expect(tables).toEqual([{ relname: "t1" }, { relname: "u1" }]);
    },
  );

  test("the terminal keeps the last picture where the report goes into a file", async ({
    database,
  }) => {
    const words = await wordsFor(database);
    for (let count = 0; count < 3; count += 1) await open(database);

    const run = runOnTerminal(words, {}, { into: "/dev/null" });

    expect(await run.ended()).toBe(0);
    const last = await run.screen();
    expect(last.filter((line) => line.startsWith("✓"))).toHaveLength(3);
  });

  test.for([{ CI: "true" }, { TERM: "dumb" }])(
    "nothing is rewritten where that cannot be: %o",
    async (environment, { database }) => {
      const words = await wordsFor(database, "--transaction", "each");
      for (let count = 0; count < 3; count += 1) await open(database);

      const run = runOnTerminal(words, { NO_COLOR: "1", ...environment });

      expect(await run.ended()).toBe(0);
      expect(run.written()).not.toContain("\u001b");
      expect(run.written()).toMatch(
        /3 migrations pending.*\s+✓ 0001_step .*\s+✓ 0002_step .*\s+✓ 0003_step /,
      );
    },
  );
});

test.for([
  [
    "create index concurrently t1_a on t1 (a);",
    /It left an INVALID index behind: "public"\."t1_a"/,
  ],
  ["call work();", /may have committed a part of its work before/],
] as const)(
  "SIGTERM in a statement that stands alone says what that has left: %s",
  async ([sql, left], { database }) => {
    const words = await wordsFor(database);
    await database.sqlAsOwner("create table t1 (a int)");
    await database.sqlAsOwner(
      "create procedure work() language plpgsql as $$ begin insert into t1 values (1); commit; perform pg_sleep(3600); end $$",
    );
    const holder = await database.hold("insert into t1 values (4711)");
    onTestFinished(() => holder.release());
    writeJournaledFolder(words[2] ?? "", [{ tag: "0001_alone", when: 1_000, sql }]);

    const ended = await neonMigrate([...words, "--json"], {}, async (kill) => {
      await waitFor(async () => {
        const rows = await database.sql(
          "select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate%' and wait_event in ('virtualxid', 'transactionid', 'PgSleep')",
        );
        return rows.length > 0;
      });
      kill("SIGTERM");
    });

    expect(ended.exitCode).toBe(143);
    expect(JSON.parse(ended.stdout).error).toMatchObject({
      ...{ code: "INTERRUPTED", migration: "0001_alone", statement: { index: 1 } },
      message: expect.stringMatching(left),
    });
  },
);

test("Ctrl-C ends also a command that has no session yet", async ({ database }) => {
  const [, ...words] = await wordsFor(database);
  const options = words.with(-1, "postgres://a:b@127.0.0.1:1/c");

  for (const command of [["up"], ["baseline", "--to", "0001_step"]]) {
    const run = runOnTerminal([...command, ...options]);
    await run.sees(/▸ Connecting, attempt \d+ {2}\d+ s\n {2}127\.0\.0\.1 could not be reached/);
    run.type("\u0003");

    expect(await run.ended()).toBe(130);
    expect((await run.screen()).join("\n")).toMatch(/^INTERRUPTED\nSIGINT stopped this command/m);
  }
});

test("the log says for whom a run waits, once, and nothing of their statements", async ({
  database,
}) => {
  const words = await wordsFor(database, "--json", "--ddl-lock-timeout-ms", "400");
  await database.sqlAsOwner("create table t1 (id int)");
  const holder = await database.hold("insert into t1 values (4711)");
  onTestFinished(() => holder.release());
  writeJournaledFolder(words[2] ?? "", [
    { tag: "0001_wait", when: 1_000, sql: "alter table t1 add column a int;" },
  ]);

  const ended = await neonMigrate([...words, "--timeout-ms", "5000"]);

  expect(ended.exitCode).toBe(1);
  const events = ended.stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  expect(events.filter(({ event }) => event === "waiting")).toEqual([
    expect.objectContaining({
      blockers: [
        expect.objectContaining({ pid: expect.any(Number), state: "idle in transaction" }),
      ],
    }),
  ]);
  expect(events.map(({ event }) => event).indexOf("planned")).toBe(1);
  expect(ended.stderr).not.toContain("4711");
});

test("in a pipe a run says on standard error what is through, and on standard output what has become of it", async ({
  database,
}) => {
  const words = await wordsFor(database);
  for (let count = 0; count < 3; count += 1) await open(database);

  const ended = await neonMigrate(words);

  expect(ended.exitCode).toBe(0);
  expect(ended.stderr.split("\n")).toEqual([
    expect.stringContaining(`${database.name} on `),
    "3 migrations pending, 9 statements, in one transaction",
    expect.stringMatching(/^· 0001_step {2}3 statements +\d+ ms {2}not committed yet$/),
    expect.stringMatching(/^· 0002_step {2}3 statements +\d+ ms {2}not committed yet$/),
    expect.stringMatching(/^· 0003_step {2}3 statements +\d+ ms {2}not committed yet$/),
    "✓ committed: 3 migrations",
    "",
  ]);
  expect(ended.stdout.match(/✓/g)).toHaveLength(3);
});

/** Runs the command line in a shell, which leads its output. */
function inShell(redirections: string, words: readonly string[], environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), "shell-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = [process.execPath, "--liftoff-only", resolve(inject("cliProgram")), ...words];
  const { status } = spawnSync("sh", ["-c", `"$@" ${redirections}`, "sh", ...program], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: "1", ...environment },
  });
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  return { status, out: read("out"), errors: redirections.includes("2>&1") ? "" : read("errors") };
}

test.for([
  ["one file for both", "> out 2>&1"],
  ["one pipe for both", "2>&1 | cat > out"],
] as const)("a log says each thing once: %s", async ([, redirections], { database }) => {
  const words = await wordsFor(database);
  for (let count = 0; count < 3; count += 1) await open(database);

  const { out } = inShell(redirections, words);

  const tags = ["0001_step", "0002_step", "0003_step"];
  expect(tags.map((tag) => out.split(tag)).map(({ length }) => length - 1)).toEqual([1, 1, 1]);
  expect(out.split("ledger drizzle.").length - 1).toBe(1);
  expect(out).toMatch(/✓ committed: 3 migrations\nApplied 3 migrations [^\n]*\n$/);
});

test("a build server's log, which reads two pipes, says each thing once, too", async ({
  database,
}) => {
  const words = await wordsFor(database);
  for (let count = 0; count < 3; count += 1) await open(database);

  const ended = await neonMigrate(words, { CI: "true" });

  expect(ended.stderr).toContain("✓ committed: 3 migrations");
  expect(ended.stdout).toMatch(/^Applied 3 migrations [^\n]*\n$/);
});

test("a file for the result alone gets it whole, on a build server, too", async ({ database }) => {
  const words = await wordsFor(database);
  for (let count = 0; count < 3; count += 1) await open(database);

  const { out, errors } = inShell("> out 2> errors", words, { CI: "true" });

  expect(out).toMatch(/ledger drizzle\.[\s\S]*✓ 0001_step[\s\S]*✓ 0003_step[\s\S]*Applied 3/);
  expect(errors).toContain("✓ committed: 3 migrations");
});

test("a log of a run that fails half-way has one line for each migration", async ({ database }) => {
  const words = await wordsFor(database, "--transaction", "each");
  for (let count = 0; count < 3; count += 1) await open(database);
  await database.sqlAsOwner("create table u2 ()");

  const { exitCode, stdout, stderr } = await neonMigrate(words);

  expect([exitCode, stdout]).toEqual([1, ""]);
  const marks = stderr.split("\n").filter((line) => /^[✓✗·] 000/.test(line));
  expect(marks.map((line) => line.slice(0, 11))).toEqual([
    "✓ 0001_step",
    "✗ 0002_step",
    "· 0003_step",
  ]);
});

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pc from "picocolors";
import { beforeAll, describe, expect, onTestFinished } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import type { Report } from "../../../lib/report/report.ts";
import type { Target } from "../../../lib/target/target.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { neonMigrate, neonMigrateIn } from "../../setup/neon-migrate.ts";
import { createTestTarget, run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const AT = Date.UTC(2026, 10, 28, 15, 5);
const TABLES = makeMigration(
  "0000_tables",
  AT,
  "create table t (id int primary key, note text)",
  "create type mood as enum ('a')",
);

/** Renders a report as the command line does, without the line about the server. */
function shown(report: Report, bundle: Bundle, sql = false): readonly string[] {
  const { action, colors } = { action: "plan", colors: pc.createColors(false) } as const;
  return renderReport(report, { action, folder: null, bundle, colors, sql }).split("\n").slice(1);
}

describe("status", () => {
  test("tells from a ledger of Drizzle 1.0 when each was applied, of rows that no file explains, too", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner(`
      set time zone 'Asia/Kolkata';
      create schema drizzle;
      create table drizzle.__drizzle_migrations (
        id serial primary key, hash text not null, created_at bigint, name text, applied_at timestamptz default now());
      insert into drizzle.__drizzle_migrations (hash, created_at, name, applied_at) values
        ('${TABLES.hash}', ${AT}, '${TABLES.name}', '2026-11-29 01:00:00.5+05:30'),
        ('${"5".repeat(64)}', ${AT}, '20261128150600_other', null),
        ('${"6".repeat(64)}', ${AT}, '20261128150700_never', 'infinity')`);

    const report = await run(target, makeBundle(TABLES), { action: "status" });

    expect(report.applied).toMatchObject([
      { tag: "0000_tables", durationMs: null, appliedAt: "2026-11-28T19:30:00.500Z" },
    ]);
    expect(report.drift.unknown).toMatchObject([{ appliedAt: null }, { appliedAt: null }]);
    expect(report.running).toBeNull();
  });

  test("says that a run is under way, by whom and what it does, and takes no lock", async ({
    database,
    target,
  }) => {
    const before = makeBundle(TABLES);
    const bundle = makeBundle(
      TABLES,
      makeMigration("0001_more", AT + 1, "alter table t add more int"),
    );
    await run(target, before);
    const holder = await database.hold("lock table t in access share mode");
    const running = run(target, bundle, { ddlLockTimeoutMs: 60_000 });

    let seen = await run(target, bundle, { action: "status" });
    await waitFor(async () => {
      seen = await run(target, bundle, { action: "status" });
      return seen.running?.statement?.includes("add more") === true;
    });
    await holder.release();
    const applied = await running;
    const after = await run(target, bundle, { action: "status" });

    expect(seen.running).toMatchObject({
      application: expect.stringMatching(/^neon-migrate\//),
      role: database.owner.name,
      since: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/),
      state: "active",
    });
    expect(seen.pending).toMatchObject([{ tag: "0001_more" }]);
    expect(applied.status).toBe("applied");
    expect(after.running).toBeNull();
  });

  test("does without what the server does not say of others", async ({ database, target }) => {
    await database.sql("revoke select on pg_locks from public");

    const report = await run(target, makeBundle(TABLES), { action: "status" });

    expect(report).toMatchObject({ status: "planned", warnings: [{ code: "ACTIVITY_UNREAD" }] });
    expect(report).not.toHaveProperty("running");
  });
});

describe("what is printed", () => {
  test("with --quiet only warnings and errors, with --verbose times, too", async ({ database }) => {
    const words = ["--folder", "tests/fixtures/folders/good", "--relay", "--url", database.url];
    const applied = await neonMigrate(["up", "--quiet", ...words]);
    await database.sql("update drizzle.__drizzle_migrations set hash = md5('x') where id = 1");
    const warned = await neonMigrate(["status", "--quiet", ...words]);
    const plain = await neonMigrate(["status", ...words]);
    const verbose = await neonMigrate(["status", "--verbose", ...words]);
    const failed = await neonMigrate(["plan", "--quiet", "--modified", "error", ...words]);

    expect(applied).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(warned.stdout).toMatch(/^! MODIFIED .*\n$/);
    expect(warned.stderr).toBe("");
    expect(plain.stdout).not.toContain("round trips");
    expect(verbose.stdout).toMatch(
      / ms \(connect \d+, lock \d+, execute \d+\) · \d round trips\n$/,
    );
    expect(failed.exitCode).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/^\nMODIFIED/);
  });

  test("by bundle, into the folder asset: what comes next, and what writes it", async () => {
    const cwd = mkdtempSync(join(tmpdir(), "views-"));
    onTestFinished(() => rmSync(cwd, { recursive: true }));
    const handler = join(cwd, "handler");
    mkdirSync(handler);
    writeFileSync(join(handler, "index.mjs"), "export const handler = () => null;\n");
    const folder = resolve("tests/fixtures/folders/good");

    const ended = await neonMigrateIn(cwd, ["bundle", "--folder", folder, "--handler", handler]);

    const [, next = "", command = "", last] =
      /\n\n(Next: .*)\n {2}(.*) writes that for .*\n(.*)\n$/.exec(ended.stdout) ?? [];
    expect(next).toContain(
      "a Lambda function of asset, handler index.handler, nodejs22.x or nodejs24.x",
    );
    expect(command).toBe("neon-migrate init --for TOOL");
    expect(last).toContain("neon-migrate invoke ");
    expect(readdirSync(join(cwd, "asset"))).toContain("bundle.json");
  });
});

describe("plan", () => {
  let shared: Target;

  beforeAll(async () => {
    const { database, target } = await createTestTarget();
    shared = target;
    return () => database.close();
  });

  test("shows the statements, what they lock of what is there, and why a commit falls", async ({
    target,
  }) => {
    await run(target, makeBundle(TABLES));
    const bundle = makeBundle(
      TABLES,
      makeMigration(
        "0001_mixed",
        AT + 1,
        "create table if not exists t (id int)",
        "create table fresh (id int references t)",
        "create index on fresh (id)",
        "alter table t\n  add column more int",
        "alter type mood add value 'b'",
        "select 'b'::mood",
        "create unique index concurrently t_note on t (note)",
        "do $$ begin end $$",
      ),
      makeMigration("0002_next", AT + 2, "update t set note = 'x'"),
    );

    const report = await run(target, bundle, { action: "plan" });

    expect(shown(report, bundle)).toEqual([
      "· 0001_mixed  8 statements",
      "  1  create table if not exists t (id int)",
      "  2  create table fresh (id int references t)",
      "     SHARE ROW EXCLUSIVE on t: writes wait",
      "  3  create index on fresh (id)",
      "  4  alter table t …",
      "     ACCESS EXCLUSIVE on t: reads and writes wait",
      "  5  alter type mood add value 'b'",
      "── commit: statement 6 uses an enum value that is new, which PostgreSQL allows only behind a commit",
      "  6  select 'b'::mood",
      "── commit: CREATE UNIQUE INDEX CONCURRENTLY cannot run in a transaction",
      "  7  create unique index concurrently t_note on t (note)",
      "     SHARE UPDATE EXCLUSIVE on t: reads and writes go on, VACUUM and other DDL wait",
      "── commit: CREATE UNIQUE INDEX CONCURRENTLY commits by itself",
      "  8  do $$ begin end $$",
      "     its text does not show what it locks",
      "· 0002_next  1 statement",
      "  1  update t set note = 'x'",
      "     ROW EXCLUSIVE on t: reads and writes go on, but for writes to the same rows",
      "A lock is kept until the next commit.",
      "2 migrations pending. neon-migrate up would apply them in 4 transactions, statement by statement: Drizzle's migrator has one transaction for everything, in which a new enum value cannot be used (0001_mixed).",
    ]);
    expect(shown(report, bundle, true)).toEqual(
      expect.arrayContaining(["  4  alter table t", "       add column more int;"]),
    );
  });

  const parts = "create table parts (id int) partition by range (id)";
  const part = "create table part partition of parts for values from (0) to (9)";

  test.each([
    ["one transaction", ["select 1"], {}, [], "in one transaction, by Drizzle's own migrator."],
    [
      "a transaction for each",
      ["select 1"],
      { transaction: "each" },
      ["each migration has a transaction of its own"],
      "in 2 transactions, by Drizzle's own migrator.",
    ],
    [
      "asked for",
      ["select 1"],
      { executor: "statements" },
      [],
      "in one transaction, statement by statement, as asked for (--executor statements).",
    ],
    [
      "transactions of its own",
      ["begin", "select 1", "commit", "begin", "select 2", "commit"],
      {},
      ["the file begins or ends transactions itself"],
      "in 2 transactions, statement by statement: Drizzle's migrator cannot run a file that begins or ends transactions itself (0001_it).",
    ],
    [
      "a word behind the names",
      [parts, part, "alter table parts detach partition part concurrently"],
      {},
      ["ALTER TABLE … CONCURRENTLY cannot run in a transaction"],
      "in 2 transactions, statement by statement: Drizzle's migrator cannot run ALTER TABLE … CONCURRENTLY (0001_it).",
    ],
    [
      "nothing behind it",
      ["vacuum"],
      {},
      ["VACUUM cannot run in a transaction"],
      "in 2 transactions, statement by statement: Drizzle's migrator cannot run VACUUM (0001_it).",
    ],
  ])(
    "says who applies it, and why not Drizzle: %s",
    async (_case, statements, request, commits, how) => {
      const bundle = makeBundle(TABLES, makeMigration("0001_it", AT + 1, ...statements));
      const report = await run(shared, bundle, { action: "plan", ...request });

      const lines = shown(report, bundle);
      expect(lines.filter((line) => line.startsWith("──"))).toEqual(
        commits.map((why) => `── commit: ${why}`),
      );
      expect(lines.at(-1)).toBe(`2 migrations pending. neon-migrate up would apply them ${how}`);
    },
  );

  test.each([
    [
      "0000_late",
      AT - 1,
      "  older than the newest applied one",
      "would skip 0000_late in silence, because a newer one is applied.",
    ],
    [
      "0000_same",
      AT,
      "  as old as an applied one",
      "would skip 0000_same in silence, because one with the same time is applied.",
    ],
  ])("says what Drizzle would skip: %s", async (tag, when, remark, why) => {
    const other = await createTestTarget();
    onTestFinished(() => other.database.close());
    await run(other.target, makeBundle(TABLES));
    const bundle = makeBundle(makeMigration(tag, when, "select 1"), TABLES);
    const report = await run(other.target, bundle, { action: "plan", outOfOrder: "apply" });

    const lines = shown(report, bundle);
    expect(lines[0]).toBe(`· ${tag}  1 statement${remark}`);
    expect(lines.at(-1)).toContain(`statement by statement: Drizzle's migrator ${why}`);
  });
});

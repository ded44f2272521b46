import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { neonMigrateIn } from "../../setup/neon-migrate.ts";
import { expectHistory } from "../../setup/report-schema.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const HISTORY = "drizzle.__drizzle_migrations_history";

const one = makeMigration("0000_one", 1_000, "create table one (id int)");
const two = makeMigration("0001_two", 2_000, "create table two (id int)");
const bad = makeMigration("0002_bad", 3_000, "select 1 / 0");
const stack = {
  source: "cloudformation",
  stack: "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/b8c6f3a0",
  resource: "Migrations",
};

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "history-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe("status", () => {
  test("says who applied each migration, when, and in how long, at no round trip", async ({
    database,
    target,
  }) => {
    const without = { ...target, ledger: { ...target.ledger, history: false } };
    await run(without, makeBundle(one));
    const before = await run(target, makeBundle(one), { action: "status" });
    await run(target, makeBundle(one, two), {}, { caller: stack });
    const status = await run(target, makeBundle(one, two), { action: "status" });
    const [row] = await database.sql(
      `select to_json(ended_at) as ended_at, duration_ms::int from ${HISTORY}`,
    );

    expect(status.applied).toMatchObject([
      { tag: "0000_one", appliedAt: null, appliedBy: null, durationMs: null, requestId: null },
      {
        ...{ tag: "0001_two", appliedBy: "CloudFormation shop/Migrations", requestId: "test" },
        ...{
          durationMs: row?.duration_ms,
          appliedAt: new Date(String(row?.ended_at)).toISOString(),
        },
      },
    ]);
    expect(status.roundTrips).toBe(before.roundTrips);
  });

  test("finds a migration by its text once its tag was changed, and takes no other's row", async ({
    target,
  }) => {
    await run(target, makeBundle(one, two));
    const renamed = { ...two, tag: "0001_renamed" };
    const status = await run(target, makeBundle(one, renamed), { action: "status" });

    expect(status.applied).toMatchObject([
      { tag: "0000_one", requestId: "test" },
      { tag: "0001_renamed", requestId: "test" },
    ]);
  });

  test.for([
    ["its columns have other names", `alter table ${HISTORY} rename column ended_at to e`],
    ["it is empty", `truncate ${HISTORY}`],
    ["it is a view", `drop table ${HISTORY}; create view ${HISTORY} as select 1 / 0 as id`],
  ])("answers also where %s", async ([, sql = ""], { database, target }) => {
    await run(target, makeBundle(one));
    await database.sqlAsOwner(sql);
    const status = await run(target, makeBundle(one), { action: "status" });

    expect(status).toMatchObject({ status: "up-to-date", applied: [{ appliedAt: null }] });
  });
});

describe("neon-migrate history", () => {
  test("lists the runs, the newest first, and the reason of one that failed", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(one, two), {}, { caller: stack });
    await run(
      target,
      makeBundle(one, two, bad),
      {},
      { caller: { source: "cli", user: "ada", host: "laptop" } },
    );
    const words = ["history", "--no-config", "--url", database.url];
    const { exitCode, stdout } = await neonMigrateIn(emptyFolder(), words);
    const json = await neonMigrateIn(emptyFolder(), [...words, "--json"]);
    const [newest, ...older] = await neonMigrateIn(emptyFolder(), [
      ...words,
      "--limit",
      "1",
      "--json",
    ]).then((ended) => [JSON.parse(ended.stdout)]);

    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[1]).toMatch(/ended \(UTC\) +by +migrations +took +request id +before it/);
    expect(lines[2]).toMatch(/^✗ .* ada@laptop +none +\d+ ms +test +[0-9A-F]+\/[0-9A-F]+$/);
    expect(lines[3]).toMatch(/^✓ .* CloudFormation shop\/Migrations +0000_one … 0001_two \(2\) /);
    expect(lines[4]).toMatch(/^✗ .* MIGRATION_FAILED: .*0002_bad, statement 1.*22012/);
    expect(expectHistory(JSON.parse(json.stdout))).toMatchObject({
      ...{ schemaVersion: 1, exists: true, closed: [], more: 0 },
      runs: [
        {
          ...{ requestId: "test", status: "failed", by: "ada@laptop", migrations: [] },
          error: { code: "MIGRATION_FAILED", migration: "0002_bad", statement: 1 },
        },
        {
          ...{
            status: "applied",
            by: "CloudFormation shop/Migrations",
            caller: stack,
            error: null,
          },
          ...{
            role: database.owner.name,
            executor: "drizzle",
            bundleHash: makeBundle(one, two).hash,
          },
          migrations: [{ tag: "0000_one" }, { tag: "0001_two", statements: 1 }],
        },
      ],
    });
    expect(older).toEqual([]);
    expect(expectHistory(newest)).toMatchObject({ more: 1, runs: [{ status: "failed" }] });
  });

  test("says so where there is none, or a stranger's, and fails where no database answers", async ({
    database,
  }) => {
    const words = (url: string) => ["history", "--no-config", "--url", url];
    const none = await neonMigrateIn(emptyFolder(), words(database.url));
    const stranger = await database.createRole("stranger");
    await database.sql(`
      create schema drizzle; grant usage on schema drizzle to public;
      grant create on schema drizzle to ${stranger.name}; set role ${stranger.name};
      create table ${HISTORY} (id int); reset role`);
    const theirs = await neonMigrateIn(emptyFolder(), words(database.url));
    const nowhere = await neonMigrateIn(emptyFolder(), words(`${database.url}_not_there`));

    expect(none).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("no history here") });
    expect(theirs.stdout).toContain("drizzle.__drizzle_migrations_history is closed to the role");
    expect(nowhere).toMatchObject({ exitCode: 1, stdout: "" });
    expect(nowhere.stderr).toContain("DATABASE_NOT_FOUND");
  });
});

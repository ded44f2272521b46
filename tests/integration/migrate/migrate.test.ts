import { describe, expect } from "vitest";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { untilUnlocked } from "../../setup/advisory-locks.ts";
import { stopClock } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const EXECUTORS = ["drizzle", "statements"] as const;
const example = await compileBundle("drizzle");
/** The round trip that makes a WebSocket of an HTTP connection: no message is counted in it. */
const UPGRADE = 1;
const first = makeMigration("0000_first", 1_000, "create table notes (id int primary key)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");

function selects(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `select ${index}`);
}

async function ledgerRows(database: TestDatabase): Promise<unknown> {
  const rows = await database.sql(
    "select hash, created_at::text as when from drizzle.__drizzle_migrations order by id",
  );
  return rows;
}

async function exists(database: TestDatabase, relation: string): Promise<boolean> {
  const [row] = await database.sql("select to_regclass($1) is not null as there", [relation]);
  return row?.there === true;
}

/** The runs of ours that the server is busy with, by what stands in their statement. */
async function activeSessions(database: TestDatabase, text: string): Promise<readonly unknown[]> {
  return await database.sql(
    `select pid from pg_stat_activity
     where datname = current_database() and application_name like 'neon-migrate/%'
       and state = 'active' and query like '%' || $1 || '%'`,
    [text],
  );
}

describe.each(EXECUTORS)("migrate by %s", (executor) => {
  test("applies the example to a fresh database, then has nothing to do", async ({
    database,
    target,
  }) => {
    const fresh = await run(target, example, { executor });
    const again = await run(target, example, { executor });

    expect(fresh).toMatchObject({ status: "applied", executor, atomic: true, pending: [] });
    expect(fresh.applied.map(({ tag }) => tag)).toEqual(example.migrations.map(({ tag }) => tag));
    expect(again).toMatchObject({ status: "up-to-date", executor: null, applied: [], pending: [] });
    expect(await ledgerRows(database)).toEqual(
      example.migrations.map(({ hash, when }) => ({ hash, when: String(when) })),
    );
  });

  test("costs the same round trips whatever there is to apply, and none beyond connecting for nothing", async ({
    database,
    relay,
    target,
  }) => {
    const few = makeMigration("0000_few", 1_000, ...selects(50));
    const many = makeMigration("0001_many", 2_000, ...selects(5_000));
    // Who waits for an answer in the middle of what it has to say waits for ever.
    relay.holdAnswers();

    const trips: [told: number, counted: number][] = [];
    for (const pending of [[few], [few, many], [few, many]]) {
      await untilUnlocked(database);
      relay.resetStats();
      const report = await run(target, makeBundle(...pending), { executor });
      // Where it takes long, a second connection looks for whom the first may be waiting.
      const { perConnection, connections } = relay.stats();
      const first = perConnection.at(-connections);
      trips.push([report.roundTrips, UPGRADE + (first?.roundTrips ?? 0)]);
    }

    const expected = executor === "drizzle" ? 4 : 3;
    expect(trips).toEqual([
      [expected, expected],
      [expected, expected],
      [2, 2],
    ]);
  });

  test("leaves nothing behind when a statement fails in the middle, and says which", async ({
    database,
    target,
  }) => {
    const bad = makeMigration(
      "0002_bad",
      3_000,
      "create table later (id int)",
      "insert into notes values (2)",
      "insert into notes values (1)",
      "insert into notes values (3)",
    );

    const report = await run(target, makeBundle(first, second, bad), { executor });

    expect(report).toMatchObject({ status: "failed", atomic: true, applied: [] });
    expect(report.pending.map(({ tag }) => tag)).toEqual([first.tag, second.tag, bad.tag]);
    expect(report.error).toEqual({
      code: "MIGRATION_FAILED",
      message: expect.stringContaining("Migration 0002_bad, statement 3 (line 5)"),
      publicMessage: expect.stringContaining("duplicate key value violates unique constraint"),
      migration: "0002_bad",
      statement: { index: 3, line: 5, column: 1, excerpt: "insert into notes values (1)" },
      sqlstate: "23505",
      detail: "Key (id)=(1) already exists.",
      hint: null,
      where: null,
      advice: expect.stringMatching(/^The statement writes a key that a row has already/),
      query: null,
      retryable: false,
    });
    expect([await exists(database, "notes"), await exists(database, "later")]).toEqual([
      false,
      false,
    ]);
  });

  test("finds the statement inside a chunk that holds several, and the column of the mistake", async ({
    database,
    target,
  }) => {
    const folder = "tests/fixtures/folders/several-statements-in-a-chunk";
    const bundle = await compileBundle(folder);
    const [only] = bundle.migrations;
    await database.sqlAsOwner("create table public.notes (id int primary key, body text)");

    const report = await run(target, bundle, { executor });

    expect(only?.statements.map(({ chunk }) => chunk)).toEqual([0, 0, 0]);
    expect(report.error).toMatchObject({
      code: "MIGRATION_FAILED",
      sqlstate: "42703",
      statement: { index: 2, line: 4, column: 25 },
    });
  });

  test("reports a constraint that fails only at commit", async ({ database, target }) => {
    const deferred = makeMigration(
      "0000_deferred",
      1_000,
      "create table a (id int primary key)",
      "create table b (a int references a deferrable initially deferred)",
      "insert into b values (1)",
    );

    const report = await run(target, makeBundle(deferred), { executor });

    expect(report.error).toMatchObject({
      code: "MIGRATION_FAILED",
      migration: "0000_deferred",
      statement: null,
      sqlstate: "23503",
    });
    expect(await exists(database, "a")).toBe(false);
  });

  test("keeps what committed before the failure when each migration has its own transaction", async ({
    database,
    target,
  }) => {
    const bad = makeMigration("0001_bad", 2_000, "insert into nowhere values (1)");

    const report = await run(target, makeBundle(first, bad), { executor, transaction: "each" });

    expect(report).toMatchObject({
      status: "failed",
      atomic: false,
      applied: [{ tag: first.tag }],
      pending: [{ tag: bad.tag }],
      error: { code: "MIGRATION_FAILED", migration: bad.tag, sqlstate: "42P01" },
    });
    expect(await ledgerRows(database)).toEqual([{ hash: first.hash, when: "1000" }]);
  });

  test("applies once when ten run at once, and the others find nothing to do", async ({
    database,
    target,
  }) => {
    const bundle = makeBundle(first, second);

    const reports = await Promise.all(
      Array.from({ length: 10 }, () => run(target, bundle, { executor, lockTimeoutMs: 600_000 })),
    );

    const told = reports.map(({ status, warnings }) => [
      status,
      ...warnings.map(({ code }) => code),
    ]);
    expect(told.sort()).toEqual([["applied"], ...Array.from({ length: 9 }, () => ["up-to-date"])]);
    expect(await database.sql("select count(*)::int as n from notes")).toEqual([{ n: 1 }]);
    expect(await ledgerRows(database)).toHaveLength(2);
  });

  test("attributes what the server says on the side to the migration that made it say so", async ({
    target,
  }) => {
    const talkative = makeMigration(
      "0001_talkative",
      2_000,
      "do $$ begin raise warning 'mind it'; end $$",
    );

    const report = await run(target, makeBundle(first, talkative), { executor });

    expect(report.notices).toEqual([
      { severity: "WARNING", message: "mind it", migration: talkative.tag },
    ]);
  });

  test("cancels what runs when the time is over, leaves nothing behind, and frees the lock", async ({
    database,
    target,
  }) => {
    const slow = makeMigration("0001_slow", 2_000, "create table slow ()", "select pg_sleep(3600)");
    const timeoutMs = 600_000;
    const clock = stopClock();

    const running = run(target, makeBundle(first, slow), { executor, timeoutMs });
    await waitFor(async () => (await activeSessions(database, "pg_sleep(3600)")).length > 0);
    await clock.advance(timeoutMs);

    const report = await clock.run(running);
    expect(report.error).toMatchObject({
      code: "DEADLINE",
      migration: slow.tag,
      statement: { index: 2 },
      retryable: true,
    });
    expect(await activeSessions(database, "pg_sleep(3600)")).toEqual([]);
    expect(await exists(database, "slow")).toBe(false);
    const next = await clock.run(run(target, makeBundle(first), { executor }));
    expect(next).toMatchObject({ status: "applied" });
  });
});

describe("migrate", () => {
  test("prefers Drizzle's own migrator", async ({ target }) => {
    const report = await run(target, makeBundle(first));

    expect(report).toMatchObject({ executor: "drizzle", executorReason: null });
  });

  test.for(["plan", "status"])(
    "writes nothing and takes no lock for %s",
    async (action, { database, target }) => {
      const report = await run(target, example, { action });

      expect(report).toMatchObject({ status: "planned", executor: "drizzle", applied: [] });
      expect(report.pending).toHaveLength(example.migrations.length);
      expect(await exists(database, "drizzle.__drizzle_migrations")).toBe(false);
      expect(
        await database.sql("select nspname from pg_namespace where nspname = 'drizzle'"),
      ).toEqual([]);
    },
  );

  test("lists in a status what is applied, however it came there", async ({ target }) => {
    await run(target, makeBundle(first));

    const report = await run(target, makeBundle(first, second), { action: "status" });

    expect(report).toMatchObject({
      status: "planned",
      applied: [{ tag: first.tag, durationMs: expect.any(Number), requestId: "test" }],
      pending: [{ tag: second.tag }],
    });
  });

  test("applies two entries with one time in one run, and again across two runs", async ({
    database,
    target,
  }) => {
    const twin = makeMigration("0001_twin", 1_000, "create table twin ()");
    const triplet = makeMigration("0002_triplet", 1_000, "create table triplet ()");

    const together = await run(target, makeBundle(first, twin));
    const later = await run(target, makeBundle(first, twin, triplet));

    expect(together).toMatchObject({ status: "applied", executor: "drizzle" });
    expect(later).toMatchObject({
      status: "applied",
      executor: "statements",
      executorReason: "behind-watermark",
      applied: [{ tag: triplet.tag }],
    });
    expect(await ledgerRows(database)).toEqual(
      [first, twin, triplet].map(({ hash }) => ({ hash, when: "1000" })),
    );
  });

  test("refuses a late migration, runs nothing, and applies it on request", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(first, makeMigration("0002_third", 3_000, "select 1")));
    const bundle = makeBundle(first, second, makeMigration("0002_third", 3_000, "select 1"));

    const planned = await run(target, bundle, { action: "plan" });
    const refused = await run(target, bundle);
    const applied = await run(target, bundle, { outOfOrder: "apply" });

    expect(planned.error?.code).toBe("OUT_OF_ORDER");
    expect(refused).toMatchObject({
      status: "failed",
      error: { code: "OUT_OF_ORDER", migration: second.tag },
      drift: { outOfOrder: [{ tag: second.tag }] },
    });
    expect(applied).toMatchObject({
      status: "applied",
      executor: "statements",
      executorReason: "out-of-order",
    });
    expect(await database.sql("select id from notes")).toEqual([{ id: 1 }]);
  });

  test("succeeds when the database is ahead, and says so", async ({ target }) => {
    await run(target, makeBundle(first, second));

    const report = await run(target, makeBundle(first));

    expect(report).toMatchObject({
      status: "up-to-date",
      drift: { unknown: [{ hash: second.hash, when: 2_000, name: null }] },
    });
  });

  test("reports a changed file and never runs it again", async ({ database, target }) => {
    await run(target, makeBundle(first));
    const edited = makeMigration(first.tag, first.when, "create table elsewhere ()");

    const report = await run(target, makeBundle(edited));

    expect(report).toMatchObject({
      status: "up-to-date",
      drift: {
        modified: [{ tag: first.tag, ledgerHash: first.hash, bundleHash: edited.hash }],
      },
    });
    expect(await exists(database, "elsewhere")).toBe(false);
  });

  test("says the same of every drift in plan, up and status, which alone never fails over it", async ({
    database,
    target,
  }) => {
    const stranger = makeMigration("0003_stranger", 4_000, "select 4");
    const last = makeMigration("0002_last", 3_000, "select 3");
    await run(target, makeBundle(first, last, stranger));
    const edited = makeMigration(first.tag, first.when, "create table elsewhere ()");
    const bundle = makeBundle(edited, second, last);
    const drift = {
      modified: [{ tag: first.tag, ledgerHash: first.hash, bundleHash: edited.hash }],
      unknown: [{ hash: stranger.hash, when: 4_000, name: null }],
      outOfOrder: [{ tag: second.tag, hash: second.hash, when: 2_000 }],
    };
    const strict = { modified: "error", ahead: "error" };

    const asked = await Promise.all([
      run(target, bundle, { action: "plan", ...strict }),
      run(target, bundle, { action: "status", ...strict }),
      run(target, bundle, { action: "plan" }),
    ]);
    const refused = await run(target, bundle, strict);

    const codes = [...asked, refused].map(({ status, error }) => error?.code ?? status);
    expect(codes).toEqual(["MODIFIED", "planned", "OUT_OF_ORDER", "MODIFIED"]);
    for (const report of [...asked, refused]) expect(report.drift).toMatchObject(drift);
    expect(await ledgerRows(database)).toHaveLength(3);
  });

  test("names the holder when another run keeps the lock, and the statement that ends it", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const slow = makeMigration(
      "0000_slow",
      1_000,
      "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.01); end loop; end $$",
    );
    const holder = run(target, makeBundle(slow));
    await waitFor(async () => (await activeSessions(database, "from gate")).length > 0);

    const report = await run(target, makeBundle(slow), { lockTimeoutMs: 300 });
    await database.sqlAsOwner("insert into gate values (1)");

    expect(report.error).toMatchObject({ code: "LOCKED", retryable: true });
    expect(report.error?.message).toMatch(
      /neon-migrate\/test \(pid (\d+), [\s\S]*select pg_terminate_backend\(\1\);/,
    );
    expect(await holder).toMatchObject({ status: "applied" });
  });

  test.each([
    ["a text", "boom"],
    ["null", null],
    ["an ErrorEvent", { type: "error", message: "", error: new Error("socket hang up") }],
  ])("makes a proper report of %s that is thrown", async (_name, thrown) => {
    const { migrate } = await import("../../../lib/migrate/migrate.ts");
    const { parseRequest } = await import("../../../lib/request.ts");
    const report = await migrate(parseRequest({}), {
      bundle: makeBundle(first),
      target: () => {
        throw thrown;
      },
      requestId: "test",
      deadline: null,
      log: () => undefined,
    });

    expect(report).toMatchObject({ status: "failed", error: { code: "INTERNAL" } });
  });
});

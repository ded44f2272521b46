import { expect } from "vitest";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const HISTORY = "drizzle.__drizzle_migrations_history";

const one = makeMigration("0000_one", 1_000, "create table one (id int)");
const bad = makeMigration("0001_bad", 2_000, "create table two (id int)", "select 'secret'::int");
const caller = { source: "cloudformation", stack: "shop", resource: "Migrations" };

async function failures(database: TestDatabase): Promise<readonly Record<string, unknown>[]> {
  const there = await database.sql("select to_regclass($1) is not null as is", [HISTORY]);
  if (there[0]?.is !== true) return [];
  return await database.sql(
    `select tag, hash, error, caller, executor, request_id, statements, statements_before from ${HISTORY} where kind = 'failed' order by id`,
  );
}

test("is written with its place, and without data", async ({ database, target }) => {
  await run(target, makeBundle(one));
  const report = await run(target, makeBundle(one, bad), {}, { caller });

  expect(report).toMatchObject({ status: "failed", error: { sqlstate: "22P02" } });
  expect(await failures(database)).toEqual([
    {
      ...{ tag: "0001_bad", hash: bad.hash, caller, executor: "drizzle", request_id: "test" },
      ...{ statements: 2, statements_before: 0 },
      error: {
        ...{ code: "MIGRATION_FAILED", sqlstate: "22P02", statement: 2 },
        message: expect.not.stringContaining("secret"),
      },
    },
  ]);
});

test("is written beside a ledger that had no history yet, but makes no ledger", async ({
  database,
  target,
}) => {
  const without = { ...target, ledger: { ...target.ledger, history: false } };
  await run(target, makeBundle(bad), { executor: "statements" });
  const [blank] = await database.sql("select to_regnamespace('drizzle') is null as is");
  await run(without, makeBundle(one));
  await run(target, makeBundle(one, bad));

  expect(blank).toEqual({ is: true });
  expect(await failures(database)).toMatchObject([{ tag: "0001_bad" }]);
});

test("is written for a run that the plan refuses", async ({ database, target }) => {
  await run(target, makeBundle(one));
  await run(target, makeBundle(), { ahead: "error" });

  expect(await failures(database)).toMatchObject([
    { tag: null, statements: null, error: { code: "AHEAD", statement: null } },
  ]);
});

test("is not written for a run that never had the lock", async ({ database, target }) => {
  await run(target, makeBundle(one));
  const other = await database.hold(lockQuestion(DEFAULT_LEDGER));
  const report = await run(target, makeBundle(one, bad), { lockTimeoutMs: 100 });
  await other.release();

  expect(report).toMatchObject({ status: "failed", error: { code: "LOCKED" } });
  expect(await failures(database)).toEqual([]);
});

test("leaves the answer as it is where the row cannot be written", async ({ database, target }) => {
  await run(target, makeBundle(one));
  const holder = await database.hold(`lock table ${HISTORY}`);
  const locked = await run(target, makeBundle(one, bad));
  await holder.release();
  await database.sqlAsOwner(`alter table ${HISTORY} add check (kind <> 'failed')`);
  const refused = await run(target, makeBundle(one, bad));

  const failed = { status: "failed", error: { code: "MIGRATION_FAILED", migration: "0001_bad" } };
  expect(locked).toMatchObject({ ...failed, warnings: [] });
  expect(refused).toMatchObject({ ...failed, warnings: [] });
  expect(await failures(database)).toEqual([]);
  await waitFor(async () => {
    const sessions = await database.sql(
      "select from pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database()",
    );
    return sessions.length === 0;
  });
});

test("tells of a run that its deadline has stopped", async ({ database, target }) => {
  await run(target, makeBundle(one));
  const slow = makeMigration("0001_slow", 2_000, "select pg_sleep(60)");
  const report = await run(target, makeBundle(one, slow), { timeoutMs: 1_500 });

  expect(report).toMatchObject({ status: "failed", error: { code: "DEADLINE" } });
  expect(await failures(database)).toMatchObject([
    { tag: "0001_slow", error: { code: "DEADLINE", statement: 1 } },
  ]);
});

test("is not looked for on a session that is lost", async ({ database, target }) => {
  await run(target, makeBundle(one));
  const ends = makeMigration("0001_ends", 2_000, "select pg_terminate_backend(pg_backend_pid())");
  const report = await run(target, makeBundle(one, ends), { timeoutMs: 20_000 });

  expect(report).toMatchObject({ status: "failed", error: { code: "CONNECTION_LOST" } });
  expect(await failures(database)).toEqual([]);
});

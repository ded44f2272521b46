import { describe, expect } from "vitest";
import type { Report } from "../../../lib/report/report.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int primary key, email text)",
  "create table trace (at timestamptz)",
  "alter table accounts add column name text",
);

const NOW = "insert into trace values (clock_timestamp())";

/** Keeps its transaction open for a while, without a query whose text would not show its locks. */
const WHILE = "create table pause as select pg_sleep(0.3)::text as done";

const later = makeMigration(
  "0001_later",
  2_000,
  "create table orders (id int)",
  "alter table orders add column total int",
  "alter table accounts add column phone text",
  NOW,
  WHILE,
  NOW,
);

const HERE = { migration: later.tag, startedMs: expect.any(Number) };
const WITH_NUMBER = { durationMs: expect.any(Number), committed: true };
const ON_ACCOUNTS = { relation: "accounts", mode: "ACCESS EXCLUSIVE" };

describe.each(["drizzle", "statements"])("with the executor %s, a report", (executor) => {
  test("says how long others were locked out, and never less than they were", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(accounts));
    const report = await run(target, makeBundle(accounts, later), { executor });

    const [inside = { ms: Number.NaN }] = await database.sql(
      "select extract(epoch from max(at) - min(at))::float8 * 1000 as ms from trace",
    );
    expect(report.lockouts).toEqual([{ ...HERE, ...ON_ACCOUNTS, ...WITH_NUMBER, statement: 3 }]);
    expect(report.lockedOutMs).toBe(report.lockouts[0]?.durationMs);
    expect(report.lockedOutMs).toBeGreaterThanOrEqual(Number(inside.ms));
    expect(report.timings.executeMs).toBeGreaterThanOrEqual(report.lockedOutMs ?? Infinity);
  });

  test("knows nobody locked out who was not there before", async ({ target }) => {
    const report = await run(target, makeBundle(accounts), { executor });

    expect(report).toMatchObject({ status: "applied", lockouts: [], lockedOutMs: 0 });
  });

  test("tells of a try that was rolled back", async ({ target }) => {
    await run(target, makeBundle(accounts));
    const failing = makeMigration(
      later.tag,
      2_000,
      "alter table accounts add column phone text",
      WHILE,
      "create table trace (at int)",
    );

    const report = await run(target, makeBundle(accounts, failing), { executor });

    expect(report.lockouts).toEqual([
      { ...HERE, ...ON_ACCOUNTS, ...WITH_NUMBER, statement: 1, committed: false },
    ]);
    expect(report.lockedOutMs).toBeGreaterThan(250);
  });

  test("does not guess where the connection was lost", async ({ target }) => {
    await run(target, makeBundle(accounts));
    const ending = makeMigration(
      later.tag,
      2_000,
      "alter table accounts add column phone text",
      "do $$ begin perform pg_terminate_backend(pg_backend_pid()); end $$",
    );

    const report: Report = await run(target, makeBundle(accounts, ending), { executor });

    expect(report.status).toBe("failed");
    expect(report.lockouts).toContainEqual({
      ...{ ...HERE, ...ON_ACCOUNTS, statement: 1 },
      ...{ durationMs: null, committed: null },
    });
    expect(report.lockedOutMs).toBeNull();
  });
});

describe("a report", () => {
  test("tells transactions apart, and what stands outside of any", async ({ target }) => {
    await run(target, makeBundle(accounts));
    const apart = makeMigration(
      later.tag,
      2_000,
      "alter table accounts add column phone text",
      "create table orders (id int)",
      "vacuum full accounts",
      "vacuum orders",
      "alter table orders add column total int",
    );

    const report = await run(target, makeBundle(accounts, apart));

    expect(report.lockouts).toEqual([
      { ...HERE, ...ON_ACCOUNTS, ...WITH_NUMBER, statement: 1 },
      { ...HERE, ...ON_ACCOUNTS, ...WITH_NUMBER, statement: 3 },
    ]);
  });

  test("takes a block for a lock: nobody can see what it does", async ({ target }) => {
    await run(target, makeBundle(accounts));
    const block = makeMigration(later.tag, 2_000, "do $$ begin perform 1; end $$");

    const report = await run(target, makeBundle(accounts, block));

    expect(report.lockouts).toEqual([
      { ...HERE, ...WITH_NUMBER, statement: 1, relation: null, mode: null },
    ]);
  });
});

import pc from "picocolors";
import { describe, expect } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import type { Bundle, Migration } from "../../../lib/bundle/bundle.ts";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import type { Report } from "../../../lib/report/report.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const users = makeMigration("0000_users", 1_000, "create table users (id int primary key)");
/** Every sentence that says what a failure has left. */
const STATES = /Nothing was \w+\.|No pending migration has left anything behind\./g;
const LEDGER = "drizzle.__drizzle_migrations";

function textOf(report: Report, bundle: Bundle, action: "up" | "plan" = "up"): string {
  return renderReport(report, {
    ...{ action, folder: "drizzle", bundle },
    colors: pc.createColors(false),
  });
}

async function tablesOf(database: TestDatabase): Promise<readonly unknown[]> {
  const rows = await database.sql(
    "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
  );
  return rows.map(({ relname }) => relname);
}

async function rowsIn(database: TestDatabase, table: string): Promise<number> {
  const [row] = await database.sql(`select count(*)::int as n from ${table}`);
  return Number(row?.n);
}

describe("the state that a failure has left", () => {
  test("is told after one transaction: the ledger that it has made is there, and no more", async ({
    database,
    target,
  }) => {
    const bundle = makeBundle(users, makeMigration("0001_wrong", 2_000, "select 1 / 0"));

    const report = await run(target, bundle);

    expect(textOf(report, bundle)).toContain("No pending migration has left anything behind.");
    expect(await tablesOf(database)).toEqual([]);
    expect(await rowsIn(database, LEDGER)).toBe(0);
  });

  test.for<[string, string[]]>([
    ["by a deferred constraint", ["insert into child values (9)"]],
    [
      "by a trigger at the COMMIT",
      [
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$",
        "create constraint trigger t after insert on child deferrable initially deferred for each row execute function no()",
        "insert into child values (null)",
      ],
    ],
  ])(
    "names the statements that stay done where a COMMIT behind them was refused %s",
    async ([_what, refused], { database, target }) => {
      await run(target, makeBundle(users));
      const half = makeMigration(
        "0001_half",
        2_000,
        "create table child (id int references users deferrable initially deferred)",
        "create index concurrently child_id on child (id)",
        ...refused,
      );
      const bundle = makeBundle(users, half, makeMigration("0002_next", 3_000, "select 1"));

      const report = await run(target, bundle);

      const text = textOf(report, bundle);
      expect(report.error?.message).toMatch(/the transaction could not be committed/);
      expect(text).toContain(`2 of ${half.statements.length} statements of 0001_half are done`);
      expect(text).not.toMatch(/Nothing was (run|applied)/);
      expect(await tablesOf(database)).toEqual(["child", "users"]);
      expect(await rowsIn(database, "child")).toBe(0);
      expect(await rowsIn(database, LEDGER)).toBe(1);
    },
  );

  test("is that nothing was applied where a policy has refused the plan", async ({
    database,
    target,
  }) => {
    const apart = makeMigration("0001_apart", 2_000, "vacuum");
    const bundle = makeBundle(users, apart);

    const report = await run(target, bundle, { executor: "drizzle" });

    expect(textOf(report, bundle)).toContain("Nothing was applied.");
    expect(await tablesOf(database)).toEqual([]);
  });

  const late = makeMigration("0001_late", 500, "create table late ()");
  const ELSEWHERE = `create schema app; create table app.moved (id serial primary key, hash text not null, created_at bigint);
    insert into app.moved (hash, created_at) values ('${users.hash}', 1000)`;

  test.for<[string, string, { before?: string; migrations: Migration[]; request?: object }]>([
    ["OUT_OF_ORDER", "Nothing was applied.", { migrations: [users, late] }],
    [
      "EXECUTOR_UNSUITABLE",
      "Nothing was applied.",
      {
        migrations: [users, makeMigration("0001_apart", 2_000, "vacuum")],
        request: { executor: "drizzle" },
      },
    ],
    [
      "NOT_BASELINED",
      "Nothing was run.",
      { before: "create table users (id int)", migrations: [users] },
    ],
    ["LEDGER_ELSEWHERE", "Nothing was run.", { before: ELSEWHERE, migrations: [users] }],
  ])(
    "is told once where nothing was begun: %s",
    async ([code, words, given], { database, target }) => {
      const { before = "", migrations, request = {} } = given;
      if (migrations.includes(late)) await run(target, makeBundle(users));
      await database.sqlAsOwner(before);
      const bundle = makeBundle(...migrations);
      const there = await tablesOf(database);

      const refused = await run(target, bundle, request);
      const planned = await run(target, bundle, { ...request, action: "plan" });

      expect([refused.error?.code, planned.error?.code]).toEqual([code, code]);
      expect(textOf(refused, bundle).match(STATES)).toEqual([words]);
      expect(textOf(planned, bundle, "plan").match(STATES) ?? []).toEqual(
        words === "Nothing was run." ? [words] : [],
      );
      expect(await tablesOf(database)).toEqual(there);
    },
  );

  test("is told once where another run keeps the lock until the time is over", async ({
    database,
    target,
  }) => {
    const holder = await database.hold(lockQuestion(DEFAULT_LEDGER));
    const bundle = makeBundle(users);

    const locked = await run(target, bundle, { lockTimeoutMs: 100 });
    const late = await run(target, bundle, { lockTimeoutMs: 60_000, timeoutMs: 2_000 });
    await holder.release();

    expect([locked.error?.code, late.error?.code]).toEqual(["LOCKED", "LOCKED"]);
    for (const report of [locked, late]) {
      expect(textOf(report, bundle).match(STATES)).toEqual(["Nothing was applied."]);
    }
    expect(await tablesOf(database)).toEqual([]);
  });
});

/** Commits half of its work, and then waits for a test. */
const procedure = makeMigration(
  "0000_procedure",
  1_000,
  "create table lines (n int)",
  "create table gate ()",
  `create procedure work() language plpgsql as $$ begin
    insert into lines values (1);
    commit;
    while not exists (select from gate) loop perform pg_sleep(0.02); end loop;
  end $$`,
);

test("does not call a statement undone whose record alone lost against others", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(procedure));
  const bundle = makeBundle(procedure, makeMigration("0001_work", 2_000, "call work()"));
  const running = run(target, bundle, { timeoutMs: 20_000, ddlLockTimeoutMs: 500 });
  await waitFor(async () => {
    const found = await database.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    return found.length > 0;
  });
  const others = await database.hold(`lock table ${LEDGER}, ${LEDGER}_checkpoints in share mode`);
  await database.sqlAsOwner("insert into gate default values");

  const report = await running;

  await others.release();
  expect(report.error?.code).toBe("LOCK_TIMEOUT");
  expect(report.error?.message).not.toContain("it is not done");
  expect(await rowsIn(database, "lines")).toBe(1);
});

test("keeps PostgreSQL's words where another sentence takes their place", async ({
  database,
  target,
}) => {
  const guest = await database.createRole("guest");

  const report = await run({ ...target, url: database.urlOf(guest) }, makeBundle(users), {
    executor: "drizzle",
  });

  expect(report.error?.sqlstate).toBe("42501");
  expect(report.error?.message).toContain("permission denied for database");
  expect(await database.sql("select from pg_namespace where nspname = 'drizzle'")).toEqual([]);
});

import pc from "picocolors";
import { describe, expect } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const nine = (seventh: string, ninth = "insert into steps values (9)") =>
  makeMigration(
    "0000_nine",
    1_000,
    "create table steps (n int)",
    "insert into steps values (2)",
    "create index concurrently steps_n on steps (n)",
    "insert into steps values (4)",
    "vacuum steps",
    "insert into steps values (6)",
    seventh,
    "insert into steps values (8)",
    ninth,
  );

async function steps(database: TestDatabase): Promise<readonly unknown[]> {
  return (await database.sql("select n from steps order by 1")).map(({ n }) => n);
}

describe("a run that failed at statement 7 of 9", () => {
  // The sixth stays in the transaction of the seventh: what can be rolled back is.
  const failing = nine("reindex table concurrently missing");

  test("goes on at 7 once the cause is gone, and repeats nothing", async ({ database, target }) => {
    const failed = await run(target, makeBundle(failing));
    expect(failed).toMatchObject({
      error: { sqlstate: "42P01", statement: { index: 7 } },
      pending: [{ done: 6 }],
    });
    expect(await steps(database)).toEqual([2, 4, 6]);
    await database.sqlAsOwner("create table missing (n int)");

    const report = await run(target, makeBundle(failing));

    expect(report).toMatchObject({ status: "applied", applied: [{ statements: 9 }] });
    expect(await steps(database)).toEqual([2, 4, 6, 8, 9]);
  });

  test("is shown as half applied by status, to people too", async ({ target }) => {
    await run(target, makeBundle(failing));

    const status = await run(target, makeBundle(failing), { action: "status" });

    expect(status).toMatchObject({ status: "planned", pending: [{ done: 6, statements: 9 }] });
    const text = renderReport(status, {
      action: "status",
      folder: null,
      bundle: null,
      colors: pc.createColors(false),
    });
    expect(text).toMatch(/0000_nine .*HALF APPLIED: 6 of 9/i);
  });

  test("takes what was edited behind it, and in the statement that failed", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(failing));

    const edited = nine("insert into steps values (7)", "insert into steps values (90)");
    expect(await run(target, makeBundle(edited))).toMatchObject({ status: "applied" });
    expect(await steps(database)).toEqual([2, 4, 6, 7, 8, 90]);
  });

  test.for([
    ["edited", "insert into steps values (2)", "insert into steps values (20)"],
    ["removed", "insert into steps values (2)", ""],
    ["put in", "insert into steps values (2)", "select 1; insert into steps values (2)"],
  ] as const)(
    "stops where a statement that has run was %s",
    async ([_what, from, to], { database, target }) => {
      await run(target, makeBundle(failing));
      const texts = failing.statements.map(({ start, end }) => failing.sql.slice(start, end));
      const changed = makeMigration(
        "0000_nine",
        1_000,
        ...texts.map((text) => (text === from ? to : text)),
      );

      const report = await run(target, makeBundle(changed));

      expect(report).toMatchObject({
        error: { code: "MODIFIED" },
        drift: { modified: [{ tag: "0000_nine" }] },
      });
      expect(report.error?.message).toContain("statement 2");
      expect(await steps(database)).toEqual([2, 4, 6]);
    },
  );
});

describe("an INVALID index that a failed build has left", () => {
  const logs = makeMigration(
    "0000_logs",
    1_000,
    `create schema other`,
    `create table other."Logs" ("At" int)`,
    `insert into other."Logs" values (1), (1)`,
  );

  async function indexes(database: TestDatabase): Promise<readonly unknown[]> {
    const rows = await database.sql(
      `select i.indexrelid::regclass::text || case when i.indisvalid then '' else ' INVALID' end as name
       from pg_index i where i.indrelid = 'other."Logs"'::regclass order by 1`,
    );
    return rows.map(({ name }) => name);
  }

  test.for([
    ["no name of its own", "on", 'other."Logs_At_idx"'],
    ["a name in quotes", `"Of Logs" on`, 'other."Of Logs"'],
    ["IF NOT EXISTS", "if not exists logs_at on", "other.logs_at"],
  ])("is dropped and built again, with %s", async ([_what, part, name], { database, target }) => {
    const unique = makeMigration(
      "0001_unique",
      2_000,
      `create unique index concurrently ${part} other."Logs" ("At")`,
    );
    const failed = await run(target, makeBundle(logs, unique));
    expect(failed).toMatchObject({ error: { sqlstate: "23505" } });
    expect(await indexes(database)).toEqual([`${name} INVALID`]);
    await database.sqlAsOwner(
      `delete from other."Logs" where ctid = (select min(ctid) from other."Logs")`,
    );

    const report = await run(target, makeBundle(logs, unique));

    expect(report.status).toBe("applied");
    expect(await indexes(database)).toEqual([name]);
    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
  });

  test("is found also where somebody else has left it, and IF NOT EXISTS would pass over it", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(logs));
    const build = `create unique index concurrently if not exists by_hand on other."Logs" ("At")`;
    await expect(database.sqlAsOwner(build)).rejects.toThrow("could not create unique index");
    await database.sqlAsOwner(`truncate other."Logs"`);

    const report = await run(target, makeBundle(logs, makeMigration("0001_by_hand", 2_000, build)));

    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
    expect(await indexes(database)).toEqual(["other.by_hand"]);
  });
});

test("a partition whose detaching was broken off half way is detached to the end", async ({
  database,
  target,
}) => {
  const parts = makeMigration(
    "0000_parts",
    1_000,
    "create table parts (n int) partition by range (n)",
    "create table part_1 partition of parts for values from (0) to (10)",
  );
  const detach = makeMigration(
    "0001_detach",
    2_000,
    "alter table parts detach partition part_1 concurrently",
    "comment on table part_1 is 'on its own'",
  );
  await run(target, makeBundle(parts));
  const reader = await database.hold("select from parts");
  // The lock is waited for until we break it off.
  const running = run(target, makeBundle(parts, detach), { ddlLockTimeoutMs: 3_600_000 });
  running.catch(() => undefined);
  await waitFor(async () => {
    const rows = await database.sql("select from pg_inherits where inhdetachpending");
    return rows.length > 0;
  });
  await database.sql(
    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'alter table parts detach%'",
  );
  await reader.release();

  const report = await running;

  expect(report).toMatchObject({ status: "applied", applied: [{ tag: "0001_detach" }] });
  expect(report.warnings.map(({ code }) => code)).toContain("STEP_FOUND_DONE");
  expect(await database.sql("select from pg_inherits")).toEqual([]);
});

test("a statement's refusal is reported also where its announcement cannot be taken back", async ({
  database,
  target,
}) => {
  await database.sqlAsOwner(`
    create table gate (id int);
    create sequence tries;
    create procedure spoil() language plpgsql as $$ begin
      if nextval('tries') = 1 then
        raise exception 'stands alone' using errcode = '2D000';
      end if;
      while not exists (select from gate) loop perform pg_sleep(0.01); end loop;
      raise exception 'spoiled';
    end $$`);
  const running = run(target, makeBundle(makeMigration("0000_spoil", 1_000, "call spoil()")));
  await waitFor(async () => {
    const rows = await database.sql(
      "select from pg_stat_activity where query = 'call spoil()' and wait_event = 'PgSleep' and datname = current_database()",
    );
    return rows.length > 0;
  });
  await database.sql("drop table drizzle.__drizzle_migrations_checkpoints");
  await database.sqlAsOwner("insert into gate values (1)");

  const report = await running;

  expect(report.error).toMatchObject({
    code: "MIGRATION_FAILED",
    sqlstate: "P0001",
    statement: { index: 1 },
  });
  expect(report.error?.message).toMatch(
    /^Migration 0000_spoil, statement 1 \(line 1\): spoiled \(P0001\)\. .*"drizzle\.__drizzle_migrations_checkpoints" does not exist.* --resolve 0000_spoil --as undone/,
  );
});

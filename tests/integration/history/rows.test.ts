import { describe, expect } from "vitest";
import { version } from "../../../lib/version.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const HISTORY = "drizzle.__drizzle_migrations_history";

const one = makeMigration("0000_one", 1_000, "create table one (id int)", "select pg_sleep(0.05)");
const two = makeMigration("0001_two", 2_000, "create table two (id int)", "select pg_sleep(0.1)");
const both = makeBundle(one, two);
const indexed = makeMigration(
  "0002_indexed",
  3_000,
  "insert into one select generate_series(1, 1000)",
  "create index concurrently one_id on one (id)",
);

const caller = { source: "cli", user: "ada", host: "laptop" };

async function historyOf(database: TestDatabase): Promise<readonly Record<string, unknown>[]> {
  return await database.sql(
    `select h.*, h.duration_ms::int as duration_ms, h.restore_lsn::text as restore_lsn from ${HISTORY} h order by h.id`,
  );
}

async function hasHistory(database: TestDatabase, name = HISTORY): Promise<boolean> {
  const [row] = await database.sql("select to_regclass($1) is not null as is", [name]);
  return row?.is === true;
}

describe.for(["drizzle", "statements"] as const)("the %s executor", (executor) => {
  test("writes a row behind each ledger row, with all that is known of the run", async ({
    database,
    target,
  }) => {
    const report = await run(target, both, { executor }, { caller });
    const rows = await historyOf(database);

    expect(report).toMatchObject({ status: "applied", executor, warnings: [] });
    expect(report.asked).toEqual({ request: { action: "up", executor }, by: caller });
    expect(rows).toMatchObject(
      [one, two].map(({ tag, hash }) => ({
        ...{ kind: "applied", tag, hash, statements: 2, statements_before: 0, executor, caller },
        ...{ request_id: "test", role: database.owner.name, bundle_hash: both.hash },
        ...{ version: version(), restore_lsn: report.restorePoint?.lsn, error: null },
      })),
    );
    const times = rows.map(({ started_at, ended_at }) => [Number(started_at), Number(ended_at)]);
    expect(times.flat()).toEqual(times.flat().toSorted((a, b) => a - b));
    expect(times[0]?.[1]).toBe(times[1]?.[0]);
    expect(rows[0]?.duration_ms).toBeGreaterThanOrEqual(50);
    expect(rows[1]?.duration_ms).toBeGreaterThanOrEqual(100);
    expect(rows[0]?.restore_time).toEqual(new Date(report.restorePoint?.time ?? ""));
  });

  test("adds no round trip, and none of its own where nothing is to do", async ({
    database,
    target,
  }) => {
    const without = { ...target, ledger: { ...target.ledger, history: false } };
    const plain = await run(without, both, { executor });
    const idle = await run(target, both, { executor });
    const isIdle = await hasHistory(database);
    await database.sql("drop schema drizzle cascade; drop table one, two");
    const kept = await run(target, both, { executor });
    const again = await run(target, both, { executor });

    expect(isIdle).toBe(false);
    expect(kept.roundTrips).toBe(plain.roundTrips);
    expect(again).toMatchObject({ status: "up-to-date", roundTrips: idle.roundTrips });
    expect(await historyOf(database)).toHaveLength(2);
  });

  test("rolls the row back with its migration", async ({ database, target }) => {
    const bad = makeMigration("0002_bad", 3_000, "select 1 / 0");
    const report = await run(target, makeBundle(one, two, bad), { executor });

    expect(report).toMatchObject({ status: "failed", applied: [] });
    expect(await hasHistory(database)).toBe(false);
  });
});

describe("a migration in several transactions", () => {
  test("counts the time of all of them, and began with the first", async ({ database, target }) => {
    const report = await run(target, makeBundle(one, indexed), {}, { caller });
    const [, row] = await historyOf(database);

    expect(report.status).toBe("applied");
    expect(row).toMatchObject({ tag: "0002_indexed", statements: 2, executor: "statements" });
    const started = Number(row?.started_at);
    expect(started).toBeLessThanOrEqual(Number(row?.ended_at) - Number(row?.duration_ms) + 1);
  });

  test("says how many statements an earlier run had done", async ({ database, target }) => {
    const bad = makeMigration(
      "0001_long",
      2_000,
      "create table long (id int)",
      "vacuum",
      "select 1 / (select count(*) from one)",
    );
    const failed = await run(target, makeBundle(one, bad));
    await database.sqlAsOwner("insert into one values (1)");
    const done = await run(target, makeBundle(one, bad));
    const rows = (await historyOf(database)).filter(({ kind }) => kind === "applied");

    expect([failed.status, done.status]).toEqual(["failed", "applied"]);
    expect(rows).toMatchObject([
      { tag: "0000_one", statements_before: 0 },
      { tag: "0001_long", statements: 3, statements_before: 2 },
    ]);
  });
});

describe("a text that the server has parsed", () => {
  test("is parsed anew for another transaction, another executor, and behind a DEALLOCATE", async ({
    database,
    target,
  }) => {
    const forgets = makeMigration("0001_forgets", 2_000, "deallocate all");
    const three = makeMigration("0002_three", 3_000, "create table three (id int)");
    // A block that commits stands alone, which only the server knows: the run changes its executor for it.
    const block = makeMigration("0003_block", 4_000, "do $$ begin commit; end $$");
    const five = makeMigration("0004_five", 5_000, "create table five (id int)");
    const bundle = makeBundle(one, forgets, three, block, five);
    const report = await run(target, bundle);

    expect(report).toMatchObject({ status: "applied", warnings: [] });
    expect((await historyOf(database)).map(({ tag }) => tag)).toEqual(
      bundle.migrations.map(({ tag }) => tag),
    );
  });
});

describe("where a history is kept", () => {
  test("is not in public, unless it is set", async ({ database, target }) => {
    const ledger = { schema: "public", table: "__drizzle_migrations", named: true };
    await run({ ...target, ledger }, makeBundle(one));
    const before = await hasHistory(database, "public.__drizzle_migrations_history");
    await run({ ...target, ledger: { ...ledger, history: true } }, both);

    expect(before).toBe(false);
    expect(await database.sql("select tag from public.__drizzle_migrations_history")).toEqual([
      { tag: "0001_two" },
    ]);
  });

  test("is in a schema of another name, if only the ledger is there", async ({
    database,
    target,
  }) => {
    const at = (schema: string) => ({
      ...target,
      ledger: { schema, table: "migrations", named: true },
    });
    await database.sqlAsOwner("create schema app; create table app.users (id int)");
    await run(at("app"), makeBundle(one));
    await database.sqlAsOwner("drop table one");
    await run(at("of_its_own"), makeBundle(one));
    await run(at("of_its_own"), both);

    expect(await hasHistory(database, "app.migrations_history")).toBe(false);
    expect(await database.sql("select tag from of_its_own.migrations_history order by id")).toEqual(
      [{ tag: "0000_one" }, { tag: "0001_two" }],
    );
  });

  test("is nowhere where Drizzle 1.0 is used, unless it is there", async ({ database, target }) => {
    const later = { ...both, layout: "1.0" as const };
    const report = await run(target, { ...makeBundle(one), layout: "1.0" });
    const before = await hasHistory(database);
    await run({ ...target, ledger: { ...target.ledger, history: true } }, later);

    expect(report).toMatchObject({ status: "applied", warnings: [] });
    expect(before).toBe(false);
    expect(await historyOf(database)).toMatchObject([{ tag: "0001_two" }]);
  });

  test("is nowhere where it is switched off", async ({ database, target }) => {
    await run(target, makeBundle(one));
    const report = await run({ ...target, ledger: { ...target.ledger, history: false } }, both);

    expect(report).toMatchObject({ status: "applied", warnings: [] });
    expect(await historyOf(database)).toMatchObject([{ tag: "0000_one" }]);
  });
});

describe("a run that cannot keep its history", () => {
  const UNWRITTEN = { code: "HISTORY_UNWRITTEN" };

  test("applies all the same for a role without the rights, and says so once", async ({
    database,
    relay,
    target,
  }) => {
    await run(target, makeBundle(one));
    const guest = await database.createRole("guest");
    await database.sql(`
      grant usage on schema drizzle to ${guest.name};
      grant usage, create on schema public to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to ${guest.name}`);
    const denied = await run(targetOf(database.urlOf(guest), relay.address), both);
    const [{ message = "" } = {}] = denied.warnings;
    const grant = /As its owner: (.*;)/.exec(message)?.[1] ?? "";
    await database.sqlAsOwner(grant);
    const three = makeMigration("0002_three", 3_000, "create table three (id int)");
    const granted = await run(
      targetOf(database.urlOf(guest), relay.address),
      makeBundle(one, two, three),
    );

    expect(denied).toMatchObject({ status: "applied", warnings: [UNWRITTEN] });
    expect(grant).toBe(
      `grant select, insert on "drizzle"."__drizzle_migrations_history" to "${guest.name}";`,
    );
    expect(granted).toMatchObject({ status: "applied", warnings: [] });
    expect(await historyOf(database)).toMatchObject([
      { tag: "0000_one" },
      { tag: "0002_three", role: guest.name },
    ]);
  });

  test("applies all the same where the table cannot be created", async ({
    database,
    relay,
    target,
  }) => {
    await run({ ...target, ledger: { ...target.ledger, history: false } }, makeBundle(one));
    const guest = await database.createRole("guest");
    await database.sql(`
      grant usage on schema drizzle to ${guest.name};
      grant usage, create on schema public to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to ${guest.name}`);
    const report = await run(targetOf(database.urlOf(guest), relay.address), both);

    expect(report).toMatchObject({ status: "applied", warnings: [UNWRITTEN] });
    expect(report.warnings[0]?.message).toContain("grant usage, create on schema");
    expect(await hasHistory(database)).toBe(false);
  });

  const OBSTACLES: readonly (readonly [string, string])[] = [
    ["a column of it is gone", `alter table ${HISTORY} drop column role`],
    ["a check refuses the row", `alter table ${HISTORY} add check (false) not valid`],
    [
      "a trigger of it raises an error",
      `create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
       create trigger no before insert on ${HISTORY} for each row execute function no()`,
    ],
    [
      "row-level security refuses the row",
      `alter table ${HISTORY} enable row level security; alter table ${HISTORY} force row level security`,
    ],
    ["it is a view by now", `drop table ${HISTORY}; create view ${HISTORY} as select 1 as id`],
  ];
  describe.for(["drizzle", "statements"] as const)("by the %s executor", (executor) => {
    test.for(OBSTACLES)(
      "applies each statement once where %s",
      async ([, sql], { database, target }) => {
        await run(target, makeBundle(one), { executor });
        await database.sqlAsOwner(sql);
        const counted = makeMigration("0001_two", 2_000, "insert into one values (1)");
        const report = await run(target, makeBundle(one, counted), { executor });

        expect(report).toMatchObject({ status: "applied", executor, warnings: [UNWRITTEN] });
        expect(await database.sql("select count(*)::int from one")).toEqual([{ count: 1 }]);
        expect(
          await database.sql("select count(*)::int from drizzle.__drizzle_migrations"),
        ).toEqual([{ count: 2 }]);
      },
    );

    test("applies all the same where a migration drops it", async ({ database, target }) => {
      await run(target, makeBundle(one), { executor });
      const drops = makeMigration("0001_drops", 2_000, `drop table ${HISTORY}`);
      const report = await run(target, makeBundle(one, drops), { executor });

      expect(report).toMatchObject({ status: "applied", warnings: [UNWRITTEN] });
      expect(await hasHistory(database)).toBe(false);
    });

    test("does not wait for who locks it longer than once", async ({ database, target }) => {
      await run(target, makeBundle(one), { executor });
      const holder = await database.hold(`lock table ${HISTORY}`);
      const report = await run(target, both, { executor, ddlLockTimeoutMs: 100 });
      await holder.release();

      expect(report).toMatchObject({ status: "applied", warnings: [UNWRITTEN] });
    });

    test("blames nothing but a statement for its own failure", async ({ database, target }) => {
      await run(target, makeBundle(one), { executor });
      const bad = makeMigration("0001_bad", 2_000, "insert into one values ('x')");
      const report = await run(target, makeBundle(one, bad), { executor });

      expect(report).toMatchObject({
        status: "failed",
        error: { code: "MIGRATION_FAILED", sqlstate: "22P02" },
        warnings: [],
      });
      expect(await database.sql("select count(*)::int from one")).toEqual([{ count: 0 }]);
    });
  });

  test("is not led into the code of a stranger's table", async ({ database, relay, target }) => {
    const stranger = await database.createRole("stranger");
    await database.sqlAsOwner(
      `create schema drizzle; grant usage, create on schema drizzle to ${stranger.name}`,
    );
    await database.sql(`
      set role ${stranger.name};
      create table ${HISTORY} (id int);
      create function drizzle.steal() returns trigger language plpgsql as $$ begin raise 'stolen'; end $$;
      create trigger steal before insert on ${HISTORY} for each statement execute function drizzle.steal();
      grant all on ${HISTORY} to public;
      reset role`);
    expect(relay.address).not.toBe("");
    const report = await run(target, makeBundle(one));

    expect(report).toMatchObject({ status: "applied", warnings: [UNWRITTEN] });
    expect(report.warnings[0]?.message).not.toContain("stolen");
  });
});

test("stands under settings that a migration leaves behind", async ({ database, target }) => {
  const role = await database.createRole("other");
  await database.sql(`grant ${role.name} to ${database.owner.name}`);
  const hostile = makeMigration(
    "0001_hostile",
    2_000,
    "create schema trap; create function trap.now() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$",
    "select set_config('search_path', 'trap', false)",
    "set datestyle = 'german, dmy'",
    "set intervalstyle = 'sql_standard'",
    `set role ${role.name}`,
  );
  const report = await run(target, makeBundle(one, hostile), {}, { caller });

  expect(report).toMatchObject({ status: "applied", warnings: [] });
  expect(await historyOf(database)).toMatchObject([
    { tag: "0000_one", role: database.owner.name },
    { tag: "0001_hostile", role: database.owner.name },
  ]);
});

test("keeps what JSON can hold of a caller", async ({ database, target }) => {
  const odd = { source: "cli", user: 'a"\\\0\ud800b', host: "é".repeat(400) };
  const report = await run(target, makeBundle(one), {}, { caller: odd });
  const [row] = await historyOf(database);

  expect(report).toMatchObject({ status: "applied", warnings: [] });
  expect(row?.caller).toMatchObject({
    user: 'a"\\??b',
    host: expect.stringMatching(/^é{200,256}…?$/),
  });
});

test("loses nothing but the history where somebody deletes the table", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(one));
  await database.sqlAsOwner(`drop table ${HISTORY}`);
  const idle = await run(target, makeBundle(one));
  const more = await run(target, both);

  expect(idle).toMatchObject({ status: "up-to-date", warnings: [] });
  expect(more).toMatchObject({ status: "applied", warnings: [], applied: [{ tag: "0001_two" }] });
  expect(await historyOf(database)).toMatchObject([{ tag: "0001_two" }]);
});

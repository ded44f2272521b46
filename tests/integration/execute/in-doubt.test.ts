import { describe, expect } from "vitest";
import type { Relay } from "../../../local/relay/relay.ts";
import { stopClock } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const users = makeMigration(
  "0000_users",
  1_000,
  "create table users (id int primary key, name text, email text)",
  "insert into users values (1, 'a', 'x'), (2, 'b', 'y')",
  "create table log (n int)",
);
const change = (...statements: string[]) =>
  makeBundle(users, makeMigration("0001_change", 2_000, ...statements));

async function indexes(database: TestDatabase): Promise<readonly unknown[]> {
  const rows = await database.sql(
    `select pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' INVALID' end as index
     from pg_index where indrelid = 'public.users'::regclass and not indisprimary order by 1`,
  );
  return rows.map(({ index }) => index);
}

const count = async (database: TestDatabase, from: string) =>
  (await database.sql(`select count(*)::int as n from ${from}`))[0]?.n;
const logged = (database: TestDatabase) => count(database, "log");
const rowsOfLedger = (database: TestDatabase) => count(database, "drizzle.__drizzle_migrations");

const OURS = "application_name like 'neon-migrate/%' and datname = current_database()";

/** Waits until a run waits for a lock, in this statement. */
const untilItWaits = (database: TestDatabase, statement: string) =>
  waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where ${OURS} and wait_event_type = 'Lock' and strpos(query, $1) > 0`,
      [statement],
    );
    return rows.length > 0;
  });

/** Waits until a run has waited for a table longer than PostgreSQL takes to look for a deadlock, in which it would lose. */
const untilWaitsFor = (database: TestDatabase, table: string) =>
  waitFor(async () => {
    const rows = await database.sql(
      `select from pg_locks l join pg_stat_activity a using (pid)
       where not l.granted and l.relation = $1::regclass and a.application_name like 'neon-migrate/%'
         and l.waitstart < clock_timestamp() - interval '200 ms'`,
      [table],
    );
    return rows.length > 0;
  });

describe("a statement that the server refuses is not done, however often it is run", () => {
  test.for<[string, string, string, string]>([
    [
      "an index whose name another one has",
      "create index u_idx on users (name)",
      "create unique index concurrently u_idx on users (email)",
      "42P07",
    ],
    [
      "an index with the same keys and without the wanted uniqueness",
      "create index u_idx on users (email)",
      "create unique index concurrently u_idx on users (email)",
      "42P07",
    ],
    [
      "an index without a name, of a column that is not there",
      "create index by_hand on users (name)",
      "create index concurrently on users (missing)",
      "42703",
    ],
    ["an index to drop that is not there", "select 1", "drop index concurrently gone", "42704"],
    [
      "a table to detach that is no partition",
      "create table parts (n int) partition by range (n); create table part_1 (n int)",
      "alter table parts detach partition part_1 concurrently",
      "42P01",
    ],
    ["a database that exists", "select 1", "create database postgres", "42P04"],
  ])("%s", async ([_what, before, statement, sqlstate], { database, target }) => {
    await database.sql(`alter role ${database.owner.name} createdb`);
    await run(target, makeBundle(users));
    await database.sqlAsOwner(before);
    const found = await indexes(database);

    const reports = [
      await run(target, change(statement)),
      await run(target, change(statement)),
      await run(target, change(statement)),
    ];

    const failed = { status: "failed", error: { code: "MIGRATION_FAILED", sqlstate } };
    expect(reports).toMatchObject([failed, failed, failed]);
    expect(reports.flatMap(({ warnings }) => warnings)).toEqual([]);
    expect(await indexes(database)).toEqual(found);
    expect(await rowsOfLedger(database)).toBe(1);
  });
});

describe("a build of an index whose session was lost", () => {
  /** Loses the session of a run whose build waits for a writer, and does something before the run comes back. */
  async function startBuild(
    scene: { readonly database: TestDatabase; readonly relay: Relay },
    statement: string,
    running: () => ReturnType<typeof run>,
    meanwhile: () => Promise<unknown>,
  ) {
    const { database, relay } = scene;
    const writer = await database.hold("update users set name = name");
    const report = running();
    await untilItWaits(database, statement);
    const admit = relay.pauseNewConnections();
    await database.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${OURS} and strpos(query, $1) > 0`,
      [statement],
    );
    await waitFor(async () => (await count(database, `pg_stat_activity where ${OURS}`)) === 0);
    await writer.release();
    await meanwhile();
    admit();
    return await report;
  }

  test.for<[string, string]>([
    ["is not unique", "create index u_idx on users (email) where id > 0"],
    ["has other keys", "create unique index u_idx on users (name) where id > 0"],
    ["has them in another order", "create unique index u_idx on users (email desc) where id > 0"],
    [
      "has another collation",
      `create unique index u_idx on users (email collate "C") where id > 0`,
    ],
    [
      "has another operator class",
      "create unique index u_idx on users (email text_pattern_ops) where id > 0",
    ],
    ["has another predicate", "create unique index u_idx on users (email) where id > 1"],
    ["includes more", "create unique index u_idx on users (email) include (name) where id > 0"],
  ])(
    "is not believed done for an index of its name that %s",
    async ([_what, other], { database, relay, target }) => {
      await run(target, makeBundle(users));
      const statement = "create unique index concurrently u_idx on users (email) where id > 0";

      const report = await startBuild(
        { database, relay },
        statement,
        () => run(target, change(statement)),
        () => database.sqlAsOwner(`drop index u_idx; ${other}`),
      );

      expect(report).toMatchObject({ status: "failed", error: { sqlstate: "42P07" } });
      expect(report.warnings.map(({ code }) => code)).toEqual(["CONNECTION_LOST"]);
      expect(await indexes(database)).toHaveLength(1);
      expect(await rowsOfLedger(database)).toBe(1);
    },
  );

  test.for<[string, string, string]>([
    [
      "words and all",
      'create unique index concurrently if not exists "U Idx" on only public.users using btree (lower(users.email) text_pattern_ops desc nulls last, id) include (name) with (fillfactor = 70) where users.id > 0',
      'create unique index "U Idx" on users (lower(email) text_pattern_ops desc nulls last, id) include (name) with (fillfactor = 70) where id > 0',
    ],
    [
      "a plain one",
      "create index concurrently u_idx on users (email)",
      "create index u_idx on users (email)",
    ],
  ])(
    "is found done where what is there is what was wanted: %s",
    async ([_what, statement, same], { database, relay, target }) => {
      await run(target, makeBundle(users));

      const report = await startBuild(
        { database, relay },
        statement,
        () => run(target, change(statement)),
        () => database.sqlAsOwner(`drop index ${/"U Idx"|u_idx/.exec(statement)?.[0]}; ${same}`),
      );

      expect(report).toMatchObject({ status: "applied" });
      expect(report.warnings.map(({ code }) => code)).toEqual([
        "CONNECTION_LOST",
        "STEP_FOUND_DONE",
      ]);
      expect(await indexes(database)).toHaveLength(1);
    },
  );

  test("takes no index of somebody else for one without a name", async ({
    database,
    relay,
    target,
  }) => {
    await run(target, makeBundle(users));
    const statement = "create index concurrently on users (email)";

    const report = await startBuild(
      { database, relay },
      statement,
      () => run(target, change(statement)),
      () => database.sqlAsOwner("create index by_hand on users (name)"),
    );

    expect(report).toMatchObject({ status: "applied" });
    expect(report.warnings.map(({ code }) => code)).toEqual([
      "CONNECTION_LOST",
      "INVALID_INDEX_DROPPED",
    ]);
    expect(await indexes(database)).toEqual([
      "CREATE INDEX by_hand ON public.users USING btree (name)",
      "CREATE INDEX users_email_idx ON public.users USING btree (email)",
    ]);
  });

  test("leaves an INVALID index of somebody else alone", async ({ database, relay, target }) => {
    await run(target, makeBundle(users));
    const statement = "create index concurrently on users (email)";
    const theirs = "create unique index concurrently theirs on users ((id / 10))";

    const report = await startBuild(
      { database, relay },
      statement,
      () => run(target, change(statement)),
      () => expect(database.sqlAsOwner(theirs)).rejects.toThrow("could not create unique index"),
    );

    expect(report).toMatchObject({ status: "applied" });
    expect(await indexes(database)).toEqual([
      "CREATE INDEX users_email_idx ON public.users USING btree (email)",
      "CREATE UNIQUE INDEX theirs ON public.users USING btree (((id / 10))) INVALID",
    ]);
  });
});

test("an index of the same name in another schema is not dropped for one that is gone", async ({
  database,
  relay,
  target,
}) => {
  await run(target, makeBundle(users));
  await database.sqlAsOwner(`
    create schema one; create table one.t (n int); create index twin on one.t (n);
    create schema two; create table two.t (n int); create index twin on two.t (n)`);
  const statement = "drop index concurrently twin";
  const bundle = change("set search_path = one, two", statement);
  const reader = await database.hold("select from one.t");
  const running = run(target, bundle);
  await untilItWaits(database, statement);
  const admit = relay.pauseNewConnections();
  await database.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity where ${OURS} and query = $1`,
    [statement],
  );
  await waitFor(async () => (await count(database, `pg_stat_activity where ${OURS}`)) === 0);
  await reader.release();
  await database.sqlAsOwner("drop index one.twin");
  admit();

  expect(await running).toMatchObject({ status: "applied" });
  expect(
    await database.sql("select schemaname::text as s from pg_indexes where indexname = 'twin'"),
  ).toEqual([{ s: "two" }]);
});

describe("an INVALID index of a statement that was corrected since", () => {
  test.for<[string, string, string]>([
    ["into another index", "u_idx on", "create index concurrently v_idx on users (email)"],
    ["into a statement for a transaction", "u_idx on", "update users set name = 'c' where id = 1"],
    ["that had no name of its own", "on", "create index concurrently v_idx on users (email)"],
  ])("is named and dropped: %s", async ([_what, part, corrected], { database, target }) => {
    await run(target, makeBundle(users));
    await database.sqlAsOwner("update users set email = 'same'");
    const wrong = `create unique index concurrently ${part} users (email)`;
    const failed = await run(target, change(wrong));
    const name = part === "on" ? "users_email_idx" : "u_idx";

    expect(failed.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate: "23505" });
    expect(failed.error?.message).toContain(`It left an INVALID index behind: "public"."${name}".`);

    const report = await run(target, change(corrected));

    expect(report).toMatchObject({ status: "applied" });
    expect(report.warnings).toMatchObject([
      { code: "INVALID_INDEX_DROPPED", message: expect.stringContaining(`"public"."${name}"`) },
    ]);
    expect(JSON.stringify(await indexes(database))).not.toContain("INVALID");
  });

  test("is left to somebody else's role that is building it right now", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(users));
    const writer = await database.hold("update users set name = name");
    const theirs = database.sql("create index concurrently u_idx on users (name)");
    theirs.catch(() => undefined);
    await waitFor(async () => (await indexes(database)).length > 0);
    const statement = "create index concurrently if not exists u_idx on users (name)";
    const running = run(target, change(statement));
    await untilItWaits(database, "share update exclusive");
    await writer.release();
    await theirs;

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(await indexes(database)).toEqual([
      "CREATE INDEX u_idx ON public.users USING btree (name)",
    ]);
  });
});

describe("somebody else's build of an index ends well beside a run that", () => {
  test.for<[string, string]>([
    ["builds another one", "create index concurrently ours on users (email)"],
    ["builds one without a name", "create index concurrently on users (email)"],
    [
      "may wait so long",
      "-- neon-migrate: lock-timeout 100s\ncreate index concurrently ours on users (email)",
    ],
    ["drops one", "drop index concurrently old"],
    ["rebuilds one", "reindex index concurrently old"],
    ["rebuilds them all", "reindex table concurrently users"],
  ])("%s", async ([_what, statement], { database, target }) => {
    await database.sql(`alter role ${database.owner.name} set deadlock_timeout = '50ms'`);
    await run(target, makeBundle(users));
    await database.sqlAsOwner("create index old on users (id)");
    const writer = await database.hold("update users set name = name");
    const theirs = database.sqlAsOwner("create index concurrently theirs on users (name)");
    theirs.catch(() => undefined);
    await waitFor(async () => JSON.stringify(await indexes(database)).includes("theirs"));
    const running = run(target, change(statement));
    await untilWaitsFor(database, "users");
    await writer.release();

    expect(await theirs).toBeDefined();
    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(JSON.stringify(await indexes(database))).not.toContain("INVALID");
  });
});

describe("a statement that has committed something before it is refused", () => {
  const raises = (sqlstate: string) =>
    `begin insert into log values (1); commit; raise exception 'lost' using errcode = '${sqlstate}'; end`;
  const waits = `begin insert into log values (1); commit; update users set name = 'c' where id = 1; end`;

  test.for<[string, string, string, string]>([
    ["a procedure that waits too long for a row", "procedure", waits, "55P03"],
    ["a block that waits too long for a row", "block", waits, "55P03"],
    ["a procedure that deadlocks", "procedure", raises("40P01"), "40P01"],
    ["a procedure that calls what stands alone", "procedure", raises("25001"), "25001"],
    ["a block that ends a transaction where it may not", "block", raises("2D000"), "2D000"],
    ["a procedure that cannot be serialized", "procedure", raises("40001"), "40001"],
  ])(
    "is in doubt, and never sent again: %s",
    async ([_what, kind, body, sqlstate], { database, target }) => {
      await run(target, makeBundle(users));
      await database.sqlAsOwner(`create procedure work() language plpgsql as $$ ${body} $$`);
      const statement = kind === "block" ? `do $$ ${body} $$` : "call work()";
      const writer = await database.hold("update users set name = name where id = 1");

      const report = await run(target, change(statement), { ddlLockTimeoutMs: 100 });
      await writer.release();

      expect(report.error).toMatchObject({
        code: "STEP_IN_DOUBT",
        sqlstate,
        migration: "0001_change",
        statement: { index: 1 },
      });
      expect(report.error?.message).toContain("--resolve 0001_change --as done");
      expect(await run(target, change(statement))).toMatchObject({
        error: { code: "STEP_IN_DOUBT" },
      });
      expect([await logged(database), await rowsOfLedger(database)]).toEqual([1, 1]);
    },
  );

  test("is tried again as long as it has committed nothing", async ({ database, target }) => {
    await run(target, makeBundle(users));
    await database.sqlAsOwner(`
      create sequence tries;
      create procedure work() language plpgsql as $$ begin
        insert into log values (1);
        if nextval('tries') <= 2 then raise exception 'lost' using errcode = '40001'; end if;
        commit;
      end $$`);

    expect(await run(target, change("call work()"))).toMatchObject({ status: "applied" });
    expect([await logged(database), await rowsOfLedger(database)]).toEqual([1, 2]);
  });

  test.for([
    ["before it committed anything is just run again", "", "applied"],
    ["behind a COMMIT of its own is in doubt", "commit;", "failed"],
  ] as const)("by the deadline %s", async ([_what, commit, status], { database, target }) => {
    await run(target, makeBundle(users));
    await database.sqlAsOwner(`
        create table gate (id int);
        create procedure work() language plpgsql as $$ begin
          insert into log values (1); ${commit}
          while not exists (select from gate) loop perform pg_sleep(0.01); end loop; commit;
        end $$`);
    const clock = stopClock();
    const timeoutMs = 600_000;
    const running = run(target, change("call work()"), { timeoutMs });
    await clock.until(
      async () =>
        (await count(
          database,
          `pg_stat_activity where ${OURS} and query = 'call work()' and wait_event = 'PgSleep'`,
        )) === 1,
    );
    await clock.advance(timeoutMs);
    const report = await clock.run(running);
    await database.sqlAsOwner("insert into gate values (1)");

    expect(report.error?.code).toBe("DEADLINE");
    const again = await clock.run(run(target, change("call work()")));
    expect(again.status).toBe(status);
    expect(again.error?.code).toBe(status === "failed" ? "STEP_IN_DOUBT" : undefined);
    expect(await logged(database)).toBe(1);
  });
});

test("a statement that the server has done is not sent again where its record has to be", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(users));
  await database.sqlAsOwner(`
    create table gate (id int);
    create procedure work() language plpgsql as $$ begin
      insert into log values (1); commit;
      while not exists (select from gate) loop perform pg_sleep(0.01); end loop;
    end $$`);
  let retries = 0;
  const log = (event: string) => {
    if (event === "transaction.retry") retries += 1;
  };
  const running = run(
    target,
    change("call work()", "select 1"),
    { ddlLockTimeoutMs: 100 },
    { log },
  );
  await waitFor(async () => (await logged(database)) === 1);
  const holder = await database.hold(
    "lock table drizzle.__drizzle_migrations_checkpoints in access exclusive mode",
  );
  const before = retries;
  await database.sqlAsOwner("insert into gate values (1)");
  await waitFor(() => retries > before);
  await holder.release();

  expect(await running).toMatchObject({ status: "applied" });
  expect(await logged(database)).toBe(1);
});

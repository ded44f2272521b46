import { describe, expect } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import { lockKey } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const tables = makeMigration(
  "0000_tables",
  1_000,
  "create table notes (id int)",
  "create table gate (id int)",
  "insert into gate values (1)",
  `create procedure give_away() language plpgsql as
     $$ begin perform pg_advisory_unlock_all(); commit; perform pg_advisory_unlock_all(); end $$`,
);
/** Waits as long as the test keeps the gate shut. */
const PASS = "update gate set id = id + 1";
const NOTE = "insert into notes values (1)";
const PATIENT = { ddlLockTimeoutMs: 120_000, lockTimeoutMs: 120_000 };

const notesIn = async (database: TestDatabase) => (await database.sql("select from notes")).length;

const rowsIn = async (database: TestDatabase) =>
  (await database.sql(`select hash from ${LEDGER} order by id`)).map(({ hash }) => hash);

/** Waits until so many runs wait for the gate, for the ledger, or for the migration lock. */
async function untilWaiting(database: TestDatabase, count: number): Promise<void> {
  await waitFor(async () => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate/%'
       and (wait_event_type = 'Lock' or (state = 'idle' and query like '%pg_try_advisory_lock%true as "lasting"%'))`,
    );
    return rows.length === count;
  });
}

/** Waits until a run waits for a table. */
const untilHeldUp = (database: TestDatabase) =>
  waitFor(async () => {
    const rows = await database.sql(
      "select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate/%' and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  });

/** Waits until this session waits for an advisory lock. */
const untilBehind = (database: TestDatabase, pid: number) =>
  waitFor(async () => {
    const rows = await database.sql(
      "select from pg_locks where locktype = 'advisory' and not granted and pid = $1",
      [pid],
    );
    return rows.length > 0;
  });

const unlock = `pg_advisory_unlock(${lockKey(DEFAULT_LEDGER)})`;

describe("a migration that gives the lock away is applied once by two runs:", () => {
  test.for([
    ["discard all", {}],
    ["discard all", { executor: "statements" }],
    ["discard all", { transaction: "each" }],
    ["select pg_advisory_unlock_all()", {}],
    ["select pg_advisory_unlock_all()", { executor: "statements" }],
    ["select pg_advisory_unlock_all()", { transaction: "each" }],
    ["do $$ begin perform pg_advisory_unlock_all(); end $$", { executor: "drizzle" }],
    ["do $$ begin execute 'select pg_advisory_unlock_' || 'all()'; end $$", {}],
    [`select ${unlock}, ${unlock}, ${unlock}, ${unlock}`, {}],
    ["call give_away()", { executor: "statements" }],
    ["-- neon-migrate: no-transaction\ndiscard all", {}],
    ["commit; --> statement-breakpoint\ndiscard all", { transaction: "each" }],
  ] as const)("%j, %j", async ([giveAway, request], { database, target }) => {
    await run(target, makeBundle(tables));
    const file = makeMigration("0001_notes", 2_000, giveAway, PASS, NOTE);
    const later = makeMigration("0002_later", 3_000, NOTE);
    const bundle = makeBundle(tables, file, later);
    const gate = await database.hold("select from gate for update");

    const first = run(target, bundle, { ...PATIENT, ...request });
    await untilWaiting(database, 1);
    const second = run(target, bundle, { ...PATIENT, ...request });
    await untilWaiting(database, 2);
    await gate.release();

    expect([await first, await second].map(({ status }) => status)).toEqual([
      "applied",
      "up-to-date",
    ]);
    expect(await notesIn(database)).toBe(2);
    expect(await rowsIn(database)).toEqual([tables, file, later].map(({ hash }) => hash));
  });

  test("where the other run went on with the file while a statement of the first stood alone", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(tables));
    const file = makeMigration(
      "0001_notes",
      2_000,
      "call pass()",
      NOTE,
      "create table done (id int)",
    );
    await database.sqlAsOwner(
      `create procedure pass() language plpgsql as
         $$ begin commit; perform pg_advisory_unlock_all(); ${PASS}; end $$`,
    );
    const gate = await database.hold("select from gate for update");

    const running = run(target, makeBundle(tables, file), PATIENT);
    await untilWaiting(database, 1);
    await database.sql(
      "update drizzle.__drizzle_migrations_checkpoints set done = 2, running = null, digests = $1",
      [
        file.statements
          .slice(0, 2)
          .map(({ digest }) => digest)
          .join(""),
      ],
    );
    await gate.release();

    expect((await running).status).toBe("applied");
    expect(await notesIn(database)).toBe(0);
    expect(await database.sql("select from done")).toEqual([]);
  });
});

test.for([
  ["-- neon-migrate: no-transaction\ndiscard all"],
  ["commit", "discard all"],
  ["begin", "select 1", "commit", "discard all", "begin"],
])(
  "a run that loses the lock at each try reports LOCK_LOST, and nothing behind is done: %j",
  async (statements, { database, target }) => {
    await run(target, makeBundle(tables));
    const file = makeMigration("0001_notes", 2_000, ...statements, NOTE);
    const key = lockKey(DEFAULT_LEDGER);
    const shut = `begin; lock table ${LEDGER} in access exclusive mode`;
    const gate = await database.hold(`lock table ${LEDGER} in access exclusive mode`);
    const other = await database.hold("select 1");

    const running = run(target, makeBundle(tables, file), PATIENT);
    for (const last of [false, false, false, true]) {
      await untilHeldUp(database);
      const taken = other.sql(`select pg_advisory_lock(${key})`);
      await untilBehind(database, other.pid);
      await gate.sql("rollback");
      await taken;
      if (!last) {
        await untilWaiting(database, 1);
        await gate.sql(shut);
      } else await running;
      await other.sql(`select pg_advisory_unlock(${key})`);
    }
    await gate.release();
    await other.release();

    const { error } = await running;
    expect(error).toMatchObject({ code: "LOCK_LOST", retryable: true });
    expect(error?.message).toContain("0001_notes is rolled back. A statement of this run gave");
    expect(await notesIn(database)).toBe(0);
    expect((await run(target, makeBundle(tables, file))).status).toBe("applied");
    expect(await notesIn(database)).toBe(1);
  },
);

describe.each(["drizzle", "statements"])("a row that the ledger does not keep, %s:", (executor) => {
  test.for([
    [
      "a trigger that returns null",
      `create function gone() returns trigger language plpgsql as $$ begin return null; end $$;
       create trigger gone before insert on ${LEDGER} for each row execute function gone()`,
    ],
    [
      "a trigger that deletes it",
      `create function gone() returns trigger language plpgsql as
         $$ begin delete from ${LEDGER} where id = new.id; return null; end $$;
       create trigger gone after insert on ${LEDGER} for each row execute function gone()`,
    ],
    [
      "a trigger that changes it",
      `create function gone() returns trigger language plpgsql as $$ begin new.hash := 'other'; return new; end $$;
       create trigger gone before insert on ${LEDGER} for each row execute function gone()`,
    ],
    [
      "a trigger that waits for the COMMIT to delete it",
      `create function gone() returns trigger language plpgsql as
         $$ begin delete from ${LEDGER} where id = new.id; return null; end $$;
       create constraint trigger gone after insert on ${LEDGER} deferrable initially deferred
         for each row execute function gone()`,
    ],
    [
      "a trigger that waits for the COMMIT to change it",
      `create function gone() returns trigger language plpgsql as
         $$ begin update ${LEDGER} set created_at = 7 where id = new.id; return null; end $$;
       create constraint trigger gone after insert on ${LEDGER} deferrable initially deferred
         for each row execute function gone()`,
    ],
    ["a rule", `create rule gone as on insert to ${LEDGER} do instead nothing`],
    [
      "a policy that hides it",
      `alter table ${LEDGER} enable row level security; alter table ${LEDGER} force row level security;
       create policy seen on ${LEDGER} for select using (created_at < 2000);
       create policy written on ${LEDGER} for insert with check (true)`,
    ],
  ] as const)("%s", async ([, obstacle], { database, target }) => {
    await run(target, makeBundle(tables));
    await database.sqlAsOwner(obstacle);

    const report = await run(
      target,
      makeBundle(
        tables,
        makeMigration("0001_a", 2_000, NOTE),
        makeMigration("0002_b", 3_000, NOTE),
      ),
      { executor },
    );

    expect(report).toMatchObject({
      ...{ status: "failed", executor, applied: [], atomic: true },
      error: { code: "LEDGER_UNWRITABLE", migration: "0001_a", retryable: false },
    });
    expect(await notesIn(database)).toBe(0);
    expect(await rowsIn(database)).toHaveLength(1);
  });

  test("a savepoint of an earlier file, to which a later one goes back", async ({
    database,
    target,
  }) => {
    const first = makeMigration("0001_a", 2_000, "savepoint a", NOTE);
    const second = makeMigration("0002_b", 3_000, "rollback to savepoint a", NOTE);

    const report = await run(target, makeBundle(tables, first, second), { executor });

    expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", migration: "0002_b" });
    expect(await database.sql("select to_regclass('notes')::text as notes")).toEqual([
      { notes: null },
    ]);
  });
});

describe.each(["drizzle", "statements"])("somebody without the lock, beside %s,", (executor) => {
  const file = makeMigration("0001_notes", 2_000, PASS, NOTE);
  const row = `insert into ${LEDGER} (hash, created_at) values ('${file.hash}', ${file.when})`;

  test("who has written the row of a pending migration is waited for, and it does not run again", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(tables));
    const other = await database.hold(NOTE);
    await other.sql(row);

    const running = run(target, makeBundle(tables, file), { executor });
    await untilWaiting(database, 1);
    await other.sql("commit");
    await other.release();

    expect(await running).toMatchObject({ status: "up-to-date", applied: [], pending: [] });
    expect(await notesIn(database)).toBe(1);
    expect(await rowsIn(database)).toHaveLength(2);
  });

  test.for([
    ["begin isolation level repeatable read", "read committed"],
    ["begin isolation level serializable", "read committed"],
    ["select 1", "repeatable read"],
    ["select 1", "serializable"],
  ])(
    "who writes it is seen also by a file with one snapshot: %s, %s by default",
    async ([begin = "", level], { database, target }) => {
      await run(target, makeBundle(tables));
      await database.sql(
        `alter role ${database.owner.name} set default_transaction_isolation = '${level}'`,
      );
      const snapshot = makeMigration("0001_notes", 2_000, begin, NOTE);
      const other = await database.hold(NOTE);
      await other.sql(
        `insert into ${LEDGER} (hash, created_at) values ('${snapshot.hash}', ${snapshot.when})`,
      );

      const running = run(target, makeBundle(tables, snapshot), {
        executor: begin === "select 1" ? executor : "auto",
      });
      await untilWaiting(database, 1);
      await other.sql("commit");
      await other.release();

      expect(await running).toMatchObject({ status: "up-to-date", applied: [] });
      expect(await notesIn(database)).toBe(1);
      expect(await rowsIn(database)).toHaveLength(2);
    },
  );

  test("who creates the ledger meanwhile is waited for, too", async ({ database, target }) => {
    const other = await database.hold("create schema drizzle");
    await other.sql(`create table ${LEDGER} (id serial primary key, hash text, created_at bigint)`);
    await other.sql("create table notes (id int)");
    await other.sql("create table gate (id int)");
    await other.sql(
      `insert into ${LEDGER} (hash, created_at) values ('${tables.hash}', ${tables.when})`,
    );

    const running = run(target, makeBundle(tables, file), { executor });
    await untilWaiting(database, 1);
    await other.sql("commit");
    await other.release();

    expect(await running).toMatchObject({ status: "applied", applied: [{ tag: file.tag }] });
    expect(await rowsIn(database)).toEqual([tables.hash, file.hash]);
  });

  test("who deletes a row and writes another is noticed", async ({ database, target }) => {
    await run(target, makeBundle(tables));
    const other = await database.hold(`delete from ${LEDGER}`);
    await other.sql(
      `insert into ${LEDGER} (hash, created_at) values ('${tables.hash}', ${tables.when})`,
    );

    const running = run(target, makeBundle(tables, file), { executor });
    await untilWaiting(database, 1);
    await other.sql("commit");
    await other.release();

    expect((await running).status).toBe("applied");
    expect(await rowsIn(database)).toEqual([tables.hash, file.hash]);
  });

  test("is noticed also by a role that may not lock the ledger", async ({ database, relay }) => {
    const owner = targetOf(database.url, relay.address);
    await run(owner, makeBundle(tables));
    const guest = await mayInsertOnly(database, relay.address);
    const gate = await database.hold("select from gate for update");
    const other = await database.hold(NOTE);
    await other.sql(row);

    const running = run(guest, makeBundle(tables, file), { ...PATIENT, executor: "statements" });
    await untilWaiting(database, 1);
    await other.sql("commit");
    await gate.release();
    await other.release();

    expect(await running).toMatchObject({ status: "up-to-date", applied: [] });
    expect(await notesIn(database)).toBe(1);
  });
});

describe("a row that somebody has not committed yet is waited for by a role that may not lock the ledger:", () => {
  const insert = (when: number, hash: string) =>
    `insert into ${LEDGER} (hash, created_at) values ('${hash}', ${when})`;
  const file = makeMigration("0001_file", 2_000, NOTE);
  const still = "set transaction isolation level repeatable read";
  const frozen = makeMigration("0001_file", 2_000, still, NOTE);

  test.for<[string, Migration, string, string, number]>([
    ["the row of what is pending", file, insert(file.when, file.hash), "commit", 0],
    ["one that is taken back", file, insert(file.when, file.hash), "rollback", 1],
    ["of another folder", file, insert(5, "another"), "commit", 1],
    ["beside a file with one snapshot", frozen, insert(frozen.when, frozen.hash), "commit", 0],
  ])("%s", async ([_what, migration, write, end, notes], { database, relay, target }) => {
    await run(target, makeBundle(tables));
    const guest = await mayInsertOnly(database, relay.address);
    const other = await database.hold(write);

    const running = run(guest, makeBundle(tables, migration), {
      ...{ executor: "statements", ddlLockTimeoutMs: 50 },
    });
    await waitFor(async () => {
      const rows = await database.sql(
        "select from pg_stat_activity where datname = current_database() and application_name like 'neon-migrate/%' and query = 'rollback'",
      );
      return rows.length > 0;
    });
    await other.sql(end);
    await other.release();

    expect((await running).error).toBeUndefined();
    expect(await notesIn(database)).toBe(notes);
  });

  test("until the deadline, which the report says", async ({ database, relay, target }) => {
    await run(target, makeBundle(tables));
    const guest = await mayInsertOnly(database, relay.address);
    const other = await database.hold(insert(file.when, file.hash));

    const report = await run(guest, makeBundle(tables, file), {
      ...{ executor: "statements", ddlLockTimeoutMs: 50, timeoutMs: 3_000 },
    });
    await other.release();

    expect(report.error).toMatchObject({ code: "LOCK_TIMEOUT", migration: "0001_file" });
    expect(report.error?.message).toContain("Somebody without the migration lock is writing");
    expect(await notesIn(database)).toBe(0);
  });
});

describe("a row that is committed while the lock is waited for is seen in the middle of a file that", () => {
  test.for([
    ["set role ROLE", "commit", "begin isolation level repeatable read"],
    ["set role ROLE", "commit", "begin", "set transaction isolation level serializable"],
    ["set default_transaction_isolation = 'repeatable read'", "set role ROLE", "commit", "begin"],
    ["begin", "set role ROLE", "commit", "begin transaction isolation level serializable"],
  ])("%j", async (statements, { database, target }) => {
    const { name } = await database.createRole("builder");
    await run(target, makeBundle(tables));
    await database.sql(`
      grant ${name} to ${database.owner.name};
      create table ready (id int); grant select on ready to ${name}; grant insert on notes to ${name}`);
    const file = makeMigration(
      ...(["0001_file", 2_000] as const),
      ...statements.map((each) => each.replace("ROLE", name)),
      ...["select 1 / count(*) from ready", NOTE, "commit"],
    );
    const halfway = await run(target, makeBundle(tables, file));
    expect(halfway.error?.sqlstate).toBe("22012");
    await database.sql("insert into ready values (1)");
    const other = await database.hold(
      `insert into ${LEDGER} (hash, created_at) values ('${file.hash}', ${file.when})`,
    );

    const running = run(target, makeBundle(tables, file), PATIENT);
    await untilHeldUp(database);
    await other.sql("commit");
    await other.release();

    expect((await running).error).toBeUndefined();
    expect(await notesIn(database)).toBe(0);
  });
});

describe("the settings at the head of a file come first:", () => {
  test.for([
    ["set transaction isolation level serializable", "serializable"],
    ["set transaction isolation level repeatable read, deferrable", "repeatable read"],
    [
      "set session characteristics as transaction isolation level repeatable read",
      "read committed",
    ],
  ] as const)("%s", async ([setting, level], { database, target }) => {
    await run(target, makeBundle(tables));
    const file = makeMigration(
      "0001_level",
      2_000,
      "set lock_timeout = '1min'",
      setting,
      "create table levels as select current_setting('transaction_isolation') as level",
    );

    expect((await run(target, makeBundle(tables, file))).status).toBe("applied");
    expect(await database.sql("select level from levels")).toEqual([{ level }]);
  });

  test("also where the file works as another role from there on", async ({ database, target }) => {
    const { name } = await database.createRole("builder");
    await database.sql(
      `grant ${name} to ${database.owner.name}; grant create on schema public to ${name}`,
    );
    await run(target, makeBundle(tables));
    const file = makeMigration(
      "0001_role",
      2_000,
      `set role ${name}`,
      "set transaction isolation level repeatable read",
      "create table theirs as select current_user::text as who",
    );

    expect((await run(target, makeBundle(tables, file))).status).toBe("applied");
    expect(await database.sql("select who from theirs")).toEqual([{ who: name }]);
    await database.sql(`drop owned by ${name}`);
  });
});

/** Somebody who writes another row whenever a row is written. */
const WRITES_TWICE = `
  create function twice() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() = 1 then insert into ${LEDGER} (hash, created_at) values ('more', 5); end if;
    return new;
  end $$;
  create trigger twice before insert on ${LEDGER} for each row execute function twice()`;

test("somebody who writes the ledger again and again is told of, and nothing stays", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(tables));
  await database.sqlAsOwner(WRITES_TWICE);

  const report = await run(target, makeBundle(tables, makeMigration("0001_a", 2_000, NOTE)));

  expect(report.error).toMatchObject({ code: "LEDGER_CHANGED", migration: "0001_a" });
  expect(report.error?.message).toContain(`"drizzle"."__drizzle_migrations"`);
  expect(await notesIn(database)).toBe(0);
  expect(await rowsIn(database)).toHaveLength(1);
});

test.for([
  `delete from ${LEDGER}`,
  `insert into ${LEDGER} (hash, created_at) values ('more', 5)`,
  `do $$ begin delete from ${LEDGER} where created_at < 2000; end $$`,
  `truncate ${LEDGER}`,
])(
  "a migration that itself changes the ledger is told so at once, and nothing stays: %s",
  async (statement, { database, target }) => {
    await run(target, makeBundle(tables));

    const report = await run(
      target,
      makeBundle(tables, makeMigration("0001_a", 2_000, NOTE, statement)),
    );

    expect(report.error).toMatchObject({
      ...{ code: "LEDGER_CHANGED", migration: "0001_a", retryable: false },
      ...{ message: expect.stringContaining("has itself changed the ledger"), sqlstate: null },
    });
    expect(JSON.stringify(report.error)).not.toContain("guard");
    expect(await notesIn(database)).toBe(0);
    expect(await rowsIn(database)).toEqual([tables.hash]);
  },
);

test("is told as others' doing by a role that may not lock the ledger, and nothing stays", async ({
  database,
  relay,
  target,
}) => {
  await run(target, makeBundle(tables));
  await database.sqlAsOwner(WRITES_TWICE);
  const asGuest = await mayInsertOnly(database, relay.address);

  const report = await run(asGuest, makeBundle(tables, makeMigration("0001_a", 2_000, NOTE)));

  expect(report.error?.message).toContain("so this transaction was not committed. Drizzle's own");
  expect(await notesIn(database)).toBe(0);
  expect(await rowsIn(database)).toEqual([tables.hash]);
});

async function mayInsertOnly(database: TestDatabase, relay: string): Promise<Target> {
  const guest = await database.createRole("guest");
  await database.sql(`
    grant usage on schema drizzle to ${guest.name};
    grant select, insert on ${LEDGER} to ${guest.name};
    grant usage on sequence ${LEDGER}_id_seq to ${guest.name};
    grant select, insert, update on notes, gate to ${guest.name}`);
  return targetOf(database.urlOf(guest), relay);
}

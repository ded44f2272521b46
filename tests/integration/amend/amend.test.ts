import pc from "picocolors";
import { describe, expect, onTestFinished } from "vitest";
import { renderAmendment } from "../../../bin/amend/render.ts";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { amend } from "../../setup/amend.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int primary key)");
const second = makeMigration("0001_second", 2_000, "create table tags (id int primary key)");
const third = makeMigration("0002_third", 3_000, "insert into notes values (1)");
const bundle = makeBundle(first, second, third);

/** The hashes of a ledger, in the order in which they were written; null where there is no ledger. */
async function hashes(database: TestDatabase, schema = "drizzle"): Promise<unknown> {
  const name = `${schema}.__drizzle_migrations`;
  const [found] = await database.sql("select to_regclass($1) is not null as there", [name]);
  if (found?.there !== true) return null;
  return (await database.sql(`select hash from ${name} order by id`)).map(({ hash }) => hash);
}

describe("a baseline", () => {
  const request = { kind: "baseline", to: second.tag } as const;

  /** What somebody made by hand, or with drizzle-kit push. */
  const makeLive = (database: TestDatabase) =>
    database.sqlAsOwner("create table notes (id int primary key); create table tags (id int)");

  test("adopts a live database: the next run applies only the rest", async ({
    database,
    target,
  }) => {
    await makeLive(database);

    const amendment = await amend(target, bundle, request);
    const report = await run(target, bundle);

    expect(amendment).toEqual({
      schemaVersion: 1,
      requestId: "amend",
      changes: [
        { migration: null, summary: 'create the ledger "drizzle"."__drizzle_migrations"' },
        ...[first, second].map(({ tag }) => ({
          migration: tag,
          summary: `insert ${tag} into "drizzle"."__drizzle_migrations" as applied`,
        })),
      ],
      written: true,
      database: expect.objectContaining({ name: database.name }),
      ledger: { ...DEFAULT_LEDGER, format: "0.x" },
      foundTables: ["notes", "tags"],
      warnings: [],
    });
    expect(report).toMatchObject({
      status: "applied",
      executor: "drizzle",
      applied: [{ tag: third.tag }],
    });
    expect(await hashes(database)).toEqual([first.hash, second.hash, third.hash]);
  });

  test("is only shown until it is asked for, and has nothing to do the second time", async ({
    database,
    target,
  }) => {
    await makeLive(database);

    const shown = await amend(target, bundle, request, { write: false });
    const nothing = await hashes(database);
    const written = await amend(target, bundle, request);
    const again = await amend(target, bundle, request);

    expect(shown.written).toBe(false);
    expect(nothing).toBeNull();
    expect(written.changes).toEqual(shown.changes);
    expect(again).toMatchObject({ changes: [], written: false });
    expect(await hashes(database)).toEqual([first.hash, second.hash]);
  });

  test("is refused, and writes nothing, where the database lacks a table that it claims", async ({
    database,
    target,
  }) => {
    await database.sqlAsOwner("create table notes (id int primary key)");

    const refused = amend(target, bundle, request);

    await expect(refused).rejects.toMatchObject({
      code: "BASELINE_MISMATCH",
      message: expect.stringMatching(/: tags \(0001_second\)\. Nothing was written\..*--gone tags/),
    });
    expect(await hashes(database)).toBeNull();
    const told = await amend(target, bundle, { ...request, gone: ["tags"] });
    expect(told).toMatchObject({ written: true, foundTables: ["notes"] });
  });

  test.each([
    ["a column that is not there", "create table notes (other text)"],
    ["a view of the name", "create view notes as select 1 as id"],
    ["no index", "create table notes (id int)"],
  ])("compares the names of tables and nothing else: %s", async (_, sql) => {
    const database = await createTestDatabase();
    onTestFinished(() => database.close());
    const relay = await database.startRelay();
    await database.sqlAsOwner(sql);

    const amendment = await amend(
      targetOf(database.url, relay.address),
      makeBundle(
        makeMigration("0000_a", 1_000, "create table notes (id int); create index on notes (id)"),
      ),
      { kind: "baseline", to: "0000_a" },
    );

    expect(amendment).toMatchObject({ written: true, foundTables: ["notes"], warnings: [] });
    expect(renderAmendment(amendment, pc.createColors(false))).toMatch(
      /\nCompared with the database: the names of 1 table, all of them there \(notes\)\.\nNot compared: columns and their types, indexes, .*views/,
    );
  });

  test("of migrations that make no table compares nothing, and says so", async ({ target }) => {
    const index = makeBundle(makeMigration("0000_t", 1_000, "create type mood as enum ('a')"));

    const amendment = await amend(target, index, { kind: "baseline", to: "0000_t" });
    const again = await amend(target, index, { kind: "baseline", to: "0000_t" });

    expect(renderAmendment(amendment, pc.createColors(false))).toContain(
      "\nCompared with the database: nothing. These migrations make no table to look for.\n",
    );
    expect(again).not.toHaveProperty("foundTables");
    expect(renderAmendment(again, pc.createColors(false))).not.toMatch(/ompared/);
  });

  test("warns when it claims less than there is", async ({ database, target }) => {
    await makeLive(database);

    const { warnings } = await amend(target, bundle, { ...request, to: first.tag });

    expect(warnings).toMatchObject([{ code: "BASELINE_SHORT" }]);
    expect(warnings[0]?.message).toContain("tags (0001_second)");
  });

  test("finds tables where the role may not look, and the ledger where the role may write", async ({
    database,
    relay,
  }) => {
    const guest = await database.createRole("guest");
    await database.sql(`
      create schema closed; create table closed.vault ();
      grant usage, create on schema public to ${guest.name}
    `);
    const vault = makeBundle(makeMigration("0000_vault", 1_000, "create table closed.vault ()"));
    const asGuest = targetOf(database.urlOf(guest), relay.address);

    const amendment = await amend(asGuest, vault, { kind: "baseline", to: "0000_vault" });

    expect(amendment).toMatchObject({ written: true, ledger: { schema: "public" } });
    expect(await run(asGuest, vault)).toMatchObject({ status: "up-to-date" });
  });

  test("waits for the lock, and names who holds it", async ({ database, target }) => {
    await makeLive(database);
    const holder = await database.hold(lockQuestion(DEFAULT_LEDGER));

    const refused = amend(target, bundle, request, { lockTimeoutMs: 200 });

    await expect(refused).rejects.toMatchObject({
      code: "LOCKED",
      message: expect.stringContaining(`pid ${holder.pid}`),
    });
    expect(await hashes(database)).toBeNull();
    expect((await amend(target, bundle, request, { write: false })).changes).toHaveLength(3);
    await holder.release();
  });

  test("is written once by five at once", async ({ database, target }) => {
    await makeLive(database);

    const amendments = await Promise.all(
      Array.from({ length: 5 }, () => amend(target, bundle, request)),
    );

    expect(amendments.filter(({ written }) => written)).toHaveLength(1);
    expect(await hashes(database)).toEqual([first.hash, second.hash]);
  });

  test("leaves nothing behind when a row of it cannot be written", async ({ database, target }) => {
    await makeLive(database);
    await database.sqlAsOwner(`
      create schema drizzle;
      create table drizzle.__drizzle_migrations
        (id serial primary key, hash text not null, created_at bigint check (created_at < 2000))
    `);

    const failed = amend(target, bundle, request);

    await expect(failed).rejects.toMatchObject({
      facts: { sqlstate: "23514" },
      message: expect.stringContaining("The transaction is rolled back."),
    });
    expect(await hashes(database)).toEqual([]);
  });
});

describe("accepting a changed file", () => {
  const edited = makeMigration(first.tag, first.when, "create table notes (id bigint)");
  const request = { kind: "accept", tag: first.tag } as const;

  test("ends the drift, and runs nothing", async ({ database, target }) => {
    await run(target, makeBundle(first));
    const drifted = await run(target, makeBundle(edited), { modified: "error" });

    const { changes } = await amend(target, makeBundle(edited), request);
    const report = await run(target, makeBundle(edited), { modified: "error" });

    expect(drifted.error?.code).toBe("MODIFIED");
    expect(changes[0]?.summary).toContain(`hash ${first.hash} becomes ${edited.hash}`);
    expect(report).toMatchObject({ status: "up-to-date", drift: { modified: [] } });
    expect(await hashes(database)).toEqual([edited.hash]);
  });

  test("is refused with the GRANTs that help where the role may insert only", async ({
    database,
    relay,
    target,
  }) => {
    await run(target, makeBundle(first));
    const guest = await database.createRole("guest");
    await database.sql(`
      grant usage on schema drizzle to ${guest.name};
      grant select, insert on drizzle.__drizzle_migrations to ${guest.name};
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to ${guest.name}
    `);
    const asGuest = targetOf(database.urlOf(guest), relay.address);

    await expect(amend(asGuest, makeBundle(edited), request)).rejects.toMatchObject({
      code: "LEDGER_DENIED",
      message: expect.stringContaining(
        `grant select, insert, update, delete on "drizzle"."__drizzle_migrations" to "${guest.name}";`,
      ),
    });
    expect(await hashes(database)).toEqual([first.hash]);
  });
});

describe("merging two ledgers", () => {
  const inPublic = (target: Target) => ({
    ...target,
    ledger: { schema: "public", table: DEFAULT_LEDGER.table },
  });

  test("ends the split: nothing is lost, nothing runs again, and the other one is empty", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(first));
    await run(inPublic(target), makeBundle(second));
    const split = await run(target, bundle);
    const shown = await amend(target, bundle, { kind: "merge-ledgers" }, { write: false });

    const { changes } = await amend(target, bundle, { kind: "merge-ledgers" });
    const report = await run(target, bundle);

    expect(split.error?.code).toBe("LEDGER_SPLIT");
    expect(changes).toEqual(shown.changes);
    expect(changes.map(({ summary }) => summary)).toEqual([
      'insert row 1 of "public"."__drizzle_migrations" into "drizzle"."__drizzle_migrations": 0001_second',
      'delete the 1 row of "public"."__drizzle_migrations"',
    ]);
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: third.tag }] });
    expect(await hashes(database)).toEqual([first.hash, second.hash, third.hash]);
    expect(await hashes(database, "public")).toEqual([]);
  });

  test("keeps what a 1.0 ledger knows of its rows, and goes on at a checkpoint that it took along", async ({
    database,
    target,
  }) => {
    const half = makeMigration("0003_half", 4_000, "vacuum notes", "select 1 / 0");
    await database.sqlAsOwner("create table notes (id int primary key)");
    await run(inPublic(target), makeBundle(second, half));
    await database.sqlAsOwner(`
      alter table public.__drizzle_migrations add name text, add applied_at timestamptz;
      update public.__drizzle_migrations set name = '19700101000002_second', applied_at = '2020-02-02Z';
      create schema drizzle;
      create table drizzle.__drizzle_migrations (id serial primary key, hash text not null,
        created_at bigint, name text, applied_at timestamptz default now());
      insert into drizzle.__drizzle_migrations (hash, created_at, name)
        values ('${first.hash}', 1000, '19700101000001_first')
    `);
    const mended = makeMigration(
      "0003_half",
      4_000,
      "vacuum notes",
      "insert into notes values (9)",
    );
    const later = makeBundle(first, second, mended);

    await amend(target, later, { kind: "merge-ledgers" });
    const status = await run(target, later, { action: "status" });
    const report = await run(target, later);

    expect(status.pending).toMatchObject([{ tag: half.tag, done: 1 }]);
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: half.tag }] });
    expect(
      await database.sql(
        "select name, applied_at = '2020-02-02Z' as old from drizzle.__drizzle_migrations order by id",
      ),
    ).toMatchObject([
      { name: "19700101000001_first" },
      { name: "19700101000002_second", old: true },
      { name: "19700101000004_half" },
    ]);
    expect(await database.sql("select * from notes")).toEqual([{ id: 9 }]);
  });
});

describe("resolving a statement in doubt", () => {
  const calling = makeMigration(
    "0001_calling",
    2_000,
    "create procedure fill() language plpgsql as $$ begin insert into notes values (7); commit; end $$",
    "call fill()",
    "insert into notes values (9)",
  );
  const doubtful = makeBundle(first, calling);

  /** As a run leaves it that dies while the procedure runs. */
  async function dieWhileCalling(database: TestDatabase, target: Target): Promise<void> {
    await run(target, makeBundle(first));
    await database.sqlAsOwner("alter table notes add check (id <> 9)");
    await run(target, doubtful);
    await database.sqlAsOwner(`
      alter table notes drop constraint notes_id_check;
      delete from notes;
      update drizzle.__drizzle_migrations_checkpoints set done = 1, running = 1, digests = left(digests, 12)
    `);
  }

  test.for([
    ["done", [9]],
    ["undone", [7, 9]],
  ] as const)("as %s lets the next run go on", async ([as, expected], { database, target }) => {
    await dieWhileCalling(database, target);
    const stopped = await run(target, doubtful);

    await amend(target, doubtful, { kind: "resolve", tag: calling.tag, as });
    const report = await run(target, doubtful);

    expect(stopped.error?.code).toBe("STEP_IN_DOUBT");
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: calling.tag }] });
    const rows = await database.sql("select id from notes order by id");
    expect(rows.map(({ id }) => id)).toEqual(expected);
  });
});

describe("a ledger that does not keep what is written into it", () => {
  const gone = `create function gone() returns trigger language plpgsql as $$ begin
      if tg_when = 'BEFORE' then return null; end if;
      delete from drizzle.__drizzle_migrations where id = new.id; return null; end $$`;
  const on = "on drizzle.__drizzle_migrations";

  test.for([
    [
      "a trigger that returns null",
      `create trigger gone before insert ${on} for each row execute function gone()`,
    ],
    [
      "a trigger that waits for the COMMIT",
      `create constraint trigger gone after insert ${on} deferrable initially deferred for each row execute function gone()`,
    ],
    ["a rule", `create rule gone as on insert to drizzle.__drizzle_migrations do instead nothing`],
  ] as const)("is no baseline: %s", async ([_what, obstacle], { database, target }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(`create table tags (id int); ${gone}; ${obstacle}`);

    const refused = amend(target, bundle, { kind: "baseline", to: second.tag });

    await expect(refused).rejects.toMatchObject({
      code: "LEDGER_UNWRITABLE",
      message: expect.stringContaining(`insert ${second.tag} into`),
    });
    expect(await hashes(database)).toEqual([first.hash]);
  });

  test("accepts no changed file either", async ({ database, target }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(`create function kept() returns trigger language plpgsql as $$ begin return old; end $$;
      create trigger kept before update ${on} for each row execute function kept()`);
    const changed = makeMigration(
      first.tag,
      first.when,
      "create table notes (id bigint primary key)",
    );

    const refused = amend(target, makeBundle(changed), { kind: "accept", tag: first.tag });

    await expect(refused).rejects.toMatchObject({ code: "LEDGER_UNWRITABLE" });
    expect(await hashes(database)).toEqual([first.hash]);
  });

  test("is told with PostgreSQL's own words where a trigger refuses it", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(`create table tags (id int);
      create function no() returns trigger language plpgsql as $$ begin
        raise insufficient_privilege using message = 'ask the auditors'; end $$;
      create trigger no before insert ${on} for each row execute function no()`);

    const refused = amend(target, bundle, { kind: "baseline", to: second.tag });

    await expect(refused).rejects.toMatchObject({
      code: "LEDGER_DENIED",
      message: expect.stringContaining("ask the auditors (42501)"),
      facts: { where: expect.stringContaining("function no()") },
    });
  });
});

import { beforeEach, describe, expect, test } from "vitest";
import type { Target } from "../../../lib/target/target.ts";
import type { Role } from "../../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const half = makeMigration("0002_half", 3_000, "vacuum notes", "insert into notes values (2)");

let database: TestDatabase;
let relay: string;
let owner: Target;
let guest: Role;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = (await database.startRelay()).address;
  owner = targetOf(database.url, relay);
  guest = await database.createRole("guest");
  return async () => {
    await database.sql(`drop owned by ${guest.name} cascade`);
    await database.close();
  };
});

const asGuest = (): Target => targetOf(database.urlOf(guest), relay);

/** Has an event trigger of another tool refuse commands. */
async function refuse(condition: string): Promise<void> {
  await database.sql(`
    create function public.refuse() returns event_trigger language plpgsql as $$ begin
      if exists (select from pg_event_trigger_ddl_commands() where ${condition}) then
        raise exception 'no new relations here' using errcode = 'insufficient_privilege', hint = 'Ask the tool.';
      end if;
    end $$;
    create event trigger ${database.name}_refuse on ddl_command_end execute function public.refuse()`);
}

describe("where somebody else refuses what our role may do,", () => {
  test.each(["auto", "statements"])("public is tried as well: %s", async (executor) => {
    await database.sql(`grant usage, create on schema public to ${database.owner.name}`);
    await refuse("object_identity = 'drizzle'");

    const report = await run(owner, makeBundle(first, second, half), { executor });

    expect(report).toMatchObject({ status: "applied", ledger: { schema: "public" } });
    expect(await database.sql("select id from notes order by id")).toEqual([{ id: 1 }, { id: 2 }]);
    expect((await run(owner, makeBundle(first, second, half))).status).toBe("up-to-date");
  });

  test("PostgreSQL's words are kept, and no GRANT is asked for", async () => {
    await refuse("object_identity = 'drizzle' or object_identity like '%drizzle_migrations%'");

    const report = await run(owner, makeBundle(first));

    expect(report.error).toMatchObject({
      ...{ code: "LEDGER_UNWRITABLE", sqlstate: "42501", hint: "Ask the tool." },
      where: expect.stringContaining("PL/pgSQL function"),
      message: expect.stringMatching(/no new relations here.*an event trigger/),
    });
    expect(report.error?.message).not.toMatch(/grant/i);
    expect(await database.sql("select to_regclass('notes')::text as t")).toEqual([{ t: null }]);
  });

  test("the table of checkpoints, too", async () => {
    await run(owner, makeBundle(first));
    await refuse("object_identity like '%checkpoints%'");

    const report = await run(owner, makeBundle(first, half));

    expect(report.error).toMatchObject({ code: "LEDGER_UNWRITABLE", sqlstate: "42501" });
    expect(report.error?.message).toContain("no new relations here");
    expect(report.error?.message).not.toMatch(/grant/i);
  });

  test.each(["drizzle", "statements"])("a policy without INSERT: %s", async (executor) => {
    await run(owner, makeBundle(first));
    await database.sqlAsOwner(`
      alter table ${LEDGER} enable row level security; alter table ${LEDGER} force row level security;
      create policy seen on ${LEDGER} for select using (true)`);

    const report = await run(owner, makeBundle(first, second), { executor });

    expect(report.error).toMatchObject({ code: "LEDGER_UNWRITABLE", sqlstate: "42501" });
    expect(report.error?.message).toContain("violates row-level security policy");
    expect(report.error?.message).not.toMatch(/grant/i);
    expect(await database.sql("select from notes")).toEqual([]);
  });
});

describe("the GRANTs of an error are those that are missing, and help at once:", () => {
  const granted = (grants: string) =>
    database.sqlAsOwner(grants.replaceAll("GUEST", `"${guest.name}"`));
  const everything = `grant usage on schema drizzle to GUEST; grant select, insert on ${LEDGER} to GUEST;
    grant usage on sequence ${LEDGER}_id_seq to GUEST;`;

  test.each([
    ["", 4],
    ["grant usage on schema drizzle to GUEST", 3],
    [everything, 1],
    [everything.replace("select, insert", "select"), 3],
  ])("with %j there are %i", async (rights, count) => {
    await run(owner, makeBundle(first, half));
    await granted(`${rights}; grant all on notes to GUEST`);

    const denied = await run(asGuest(), makeBundle(first, second, half), { outOfOrder: "apply" });
    const grants = denied.error?.message.match(/grant [^;]*;/g) ?? [];
    await database.sqlAsOwner(grants.join(" "));
    const helped = await run(asGuest(), makeBundle(first, second, half), { outOfOrder: "apply" });

    expect(denied.error?.code).toBe("LEDGER_DENIED");
    expect(grants).toHaveLength(count);
    expect(helped).toMatchObject({ status: "applied", applied: [{ tag: second.tag }] });
  });

  test.each([
    ["no schema", "select"],
    ["a schema without rights", "create schema drizzle"],
    [
      "a schema to create in, and not to use",
      "create schema drizzle; grant create on schema drizzle to GUEST",
    ],
  ])("and nobody needs to be a superuser for them: %s", async (_situation, made) => {
    const onPublic = "grant usage, create on schema public to GUEST";
    await database.sqlAsOwner(made.replace("GUEST", guest.name));
    await granted(onPublic);
    const target = { ...asGuest(), ledger: { schema: "drizzle", table: "x", named: true } };

    const denied = await run(target, makeBundle(first));
    const [, grants = ""] = /As the owner of the database: (.*;)/.exec(
      denied.error?.message ?? "",
    ) ?? ["", ""];
    await database.sqlAsOwner(grants);
    const helped = await run(target, makeBundle(first));

    expect(denied.error?.code).toBe("LEDGER_DENIED");
    expect(helped.status).toBe("applied");
  });

  test("for the checkpoints only once they are needed, with PostgreSQL's words", async () => {
    await run(owner, makeBundle(first));
    await granted(`${everything} grant all on notes to GUEST`);

    const report = await run(asGuest(), makeBundle(first, half));

    expect(report.error).toMatchObject({ code: "LEDGER_DENIED", sqlstate: "42501" });
    expect(report.error?.message).toContain("permission denied for schema drizzle");
    expect(report.error?.message).toContain(
      "The pending migrations cannot be rolled back as a whole",
    );
    expect(await database.sql("select from notes")).toEqual([]);
    expect(report.error?.message.match(/grant [^;]*;/g)).toHaveLength(1);
  });
});

describe("a login that works as another role", () => {
  const role = (to: string) =>
    database.sql(
      `grant ${database.owner.name} to ${guest.name}; alter role ${guest.name} set role = ${to}`,
    );

  test("keeps checkpoints that the other role owns and can go on with", async () => {
    await role(database.owner.name);
    const broken = makeMigration("0002_half", 3_000, "vacuum notes", "select 1 / 0");

    const failed = await run(asGuest(), makeBundle(first, broken));
    const report = await run(owner, makeBundle(first, half));

    expect(failed).toMatchObject({
      database: { role: database.owner.name },
      pending: [{ done: 1 }],
    });
    expect(report.applied.map(({ tag }) => tag)).toEqual([half.tag]);
    expect(await ownersOf("__drizzle_migrations%")).toEqual([database.owner.name]);
  });

  test("has the other role again where a file has set a third one", async () => {
    await role(database.owner.name);
    const builder = await database.createRole("builder");
    await database.sql(
      `grant ${builder.name} to ${database.owner.name}, ${guest.name}; grant all on schema public to ${builder.name}`,
    );
    const file = makeMigration(
      "0001_builder",
      2_000,
      `set role ${builder.name}`,
      "create table theirs (id int)",
      "commit",
      "vacuum theirs",
      "create table theirs_too (id int)",
    );

    const report = await run(asGuest(), makeBundle(first, file, half));

    expect(report.status).toBe("applied");
    expect(await ownersOf("theirs%")).toEqual([builder.name]);
    expect(await ownersOf("__drizzle_migrations%")).toEqual([database.owner.name]);
    await database.sql(`drop owned by ${builder.name}`);
  });

  test("by a setting for the database, too", async () => {
    await database.sql(
      `grant ${database.owner.name} to ${guest.name};
       alter role ${guest.name} in database ${database.name} set role = ${database.owner.name}`,
    );

    expect((await run(asGuest(), makeBundle(first, half))).status).toBe("applied");
    expect((await run(owner, makeBundle(first, half))).status).toBe("up-to-date");
    expect(await ownersOf("%notes%")).toEqual([database.owner.name]);
  });
});

const ownersOf = async (name: string) =>
  (
    await database.sql(
      "select distinct tableowner::text as owner from pg_tables where tablename like $1",
      [name],
    )
  ).map((row) => row.owner);

describe("a sequence behind the rows of its ledger is named, and the statement in the error mends it:", () => {
  test.each([
    ["drizzle", "serial"],
    ["statements", "serial"],
    ["statements", "int generated by default as identity"],
    ["statements", "bigserial"],
  ])("%s, %s", async (executor, id) => {
    await database.sqlAsOwner(`
      create table notes (id int); create schema drizzle;
      create table ${LEDGER} (id ${id} primary key, hash text not null, created_at bigint);
      insert into ${LEDGER} values (1, '${first.hash}', 1000)`);

    const report = await run(owner, makeBundle(first, second), { executor });
    const [, mending = ""] = report.error?.message.match(/(select setval.*?);/) ?? [];
    await database.sqlAsOwner(mending);

    expect(report.error).toMatchObject({ code: "LEDGER_UNWRITABLE", sqlstate: "23505" });
    expect(await database.sql("select from notes")).toEqual([]);
    expect((await run(owner, makeBundle(first, second), { executor })).status).toBe("applied");
  });

  test("a unique hash is another matter", async () => {
    await run(owner, makeBundle(first));
    await database.sqlAsOwner(`create unique index on ${LEDGER} ((true))`);

    const report = await run(owner, makeBundle(first, second));

    expect(report.error).toMatchObject({ code: "LEDGER_UNWRITABLE", sqlstate: "23505" });
    expect(report.error?.message).not.toContain("setval");
  });
});

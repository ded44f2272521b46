import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { amendLedger } from "../../../lib/amend/amend.ts";
import type { AmendmentRequest } from "../../../lib/amend/changes.ts";
import { silentLog } from "../../../lib/log.ts";
import type { Target } from "../../../lib/target/target.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";

const LIB = join(import.meta.dirname, "../../../lib");

/** Every word of our sources that stands in front of a bracket. Those that are functions of PostgreSQL get namesakes. */
const CALLED = [
  ...new Set(
    readdirSync(LIB, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.startsWith("compile"))
      .flatMap((name) => readFileSync(join(LIB, name), "utf8").match(/[a-z_0-9]+(?=\()/g) ?? []),
  ),
];

/** Namesakes with the exact types of each function, operator and type that our SQL may name. Each raises an error. */
const plant = (schema: string) => `
do $plant$
declare f record; made int := 0;
begin
  for f in
    select p.proname, p.oid, pg_get_function_identity_arguments(p.oid) as args,
      (select string_agg(format_type(t, null), ', ') from unnest(p.proargtypes) t) as types
    from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any ('{${CALLED.join(",")}}')
      and p.prokind = 'f' and p.provariadic = 0 and not p.proargtypes::oid[] && array[2281, 2276]::oid[]
  loop
    execute format(
      'create or replace function ${schema}.%I(%s) returns int language plpgsql as $f$ begin raise exception ''a namesake of %s was called''; end $f$',
      f.proname, coalesce(f.types, ''), f.proname);
    made := made + 1;
  end loop;
  for f in
    select o.oprname, format_type(o.oprleft, null) as l, format_type(o.oprright, null) as r, format_type(o.oprresult, null) as res
    from pg_operator o
    where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft <> 0
      and o.oprname = any ('{=,<>,<,>,<=,>=,~,!~,~~,||,-,+,*,<<,|,@>}')
      and o.oprleft = any ('{text,name,oid,int2,int4,int8,bool,"char",timestamptz,interval,numeric,float4,uuid,xid,bpchar,anyarray}'::regtype[])
      and o.oprright = any ('{text,name,oid,int2,int4,int8,bool,"char",timestamptz,interval,numeric,float4,uuid,xid,bpchar,anyarray}'::regtype[])
  loop
    execute format(
      'create or replace function ${schema}.op_%s(%s, %s) returns %s language plpgsql as $f$ begin raise exception ''a namesake of the operator %s (%s, %s) was used''; end $f$',
      md5(f.oprname || f.l || f.r), f.l, f.r, f.res, replace(f.oprname, '%', '%%'), f.l, f.r);
    execute format('create operator ${schema}.%s (leftarg = %s, rightarg = %s, function = ${schema}.op_%s)',
      f.oprname, f.l, f.r, md5(f.oprname || f.l || f.r));
    made := made + 1;
  end loop;
  if made < 200 then raise exception 'only % namesakes', made; end if;
end $plant$;
grant usage on schema ${schema} to public`;

/** Types that our SQL names and the grammar does not know by itself. */
const TYPES = ["text", "name", "oid", "json", "jsonb", "uuid", "regclass", "regnamespace"];
const plantTypes = (schema: string) =>
  TYPES.map((type) => `create domain ${schema}.${type} as pg_catalog.${type} check (false);`).join(
    "",
  );

/** Exact types win over PostgreSQL's own polymorphic ones, also behind them in the search path. */
const IN_PUBLIC = `
create function public.spied() returns int language plpgsql as $$ begin raise exception 'a namesake in public was called'; end $$;
create function public.spy(int, record) returns int language plpgsql as $$ begin return public.spied(); end $$;
create aggregate public.json_agg(record) (sfunc = public.spy, stype = int, initcond = '0');
create function public.concat(text, text) returns text language sql as 'select public.spied()::text';
create function public.concat(text, bigint) returns text language sql as 'select public.spied()::text';
create function public.unnest(bigint[]) returns setof bigint language sql as 'select public.spied()';
create function public.unnest(text[]) returns setof text language sql as 'select public.spied()::text';
create function public.row_security_active(oid) returns boolean language sql as 'select public.spied() = 0'`;

const first = makeMigration("0000_first", 1_000, "create table public.notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into public.notes values (1)");
const INDEX = "create index concurrently notes_id on public.notes (id)";
const half = makeMigration(
  "0002_half",
  3_000,
  "vacuum public.notes",
  INDEX,
  "insert into public.notes values (2)",
);
const broken = makeMigration(
  "0002_half",
  3_000,
  "vacuum public.notes",
  INDEX,
  "insert into public.notes values (2)",
  "insert into nowhere values (1)",
);
const column = makeMigration(
  "0003_column",
  4_000,
  "alter table public.notes alter column id set not null",
  "alter table public.notes alter column id type bigint",
);

let database: TestDatabase;
let target: Target;

beforeEach(async () => {
  database = await createTestDatabase();
  target = targetOf(database.url, (await database.startRelay()).address);
  await database.sql(`create schema ahead authorization ${database.owner.name}`);
  await database.sql(plant("ahead"));
  await database.sql(IN_PUBLIC);
  return () => database.close();
});

const aheadOfEverything = () =>
  database.sql(`alter role ${database.owner.name} set search_path = ahead, pg_catalog, public`);

const amend = (request: AmendmentRequest, bundle: ReturnType<typeof makeBundle>) =>
  amendLedger(request, {
    ...{ bundle, target, requestId: "test", write: true, lockTimeoutMs: 60_000, log: silentLog },
  });

test("a namesake is called where nothing else is named: the trap works", async () => {
  await aheadOfEverything();

  await expect(database.sqlAsOwner("select version()")).rejects.toThrow("namesake of version");
  await expect(
    database.sqlAsOwner("select from pg_database where datname = 'x'::name"),
  ).rejects.toThrow("namesake of the operator =");
});

describe.each(["in a schema ahead in the search path", "in public"])("namesakes %s", (where) => {
  beforeEach(async () => {
    if (where !== "in public") await aheadOfEverything();
  });

  test.each(["drizzle", "statements"])(
    "are not called by status, plan and up, nor by what waits: %s",
    async (executor) => {
      const bundle = makeBundle(first, second);
      // With these the first contact looks around, and reads what may be a ledger.
      await database.sqlAsOwner(`
        create table public.theirs (id int, hash pg_catalog.text, created_at bigint, name pg_catalog.text);
        insert into public.theirs values (1, 'theirs', 1, 'theirs')`);
      for (const action of ["status", "plan", "up", "status"]) {
        expect(await run(target, bundle, { action, executor })).not.toHaveProperty("error");
      }
      const plan = await run(target, makeBundle(first, second, column), { action: "plan" });
      const holder = await database.hold("lock table public.notes");
      const later = makeBundle(
        first,
        second,
        makeMigration("0009_later", 9_000, "insert into public.notes values (3)"),
      );
      const waited = await run(target, later, { executor, ddlLockTimeoutMs: 50, timeoutMs: 3_000 });
      await holder.release();

      expect(plan.warnings).toEqual([]);
      expect(waited.error?.code).toBe("LOCK_TIMEOUT");
      expect(waited.error?.message).toContain(`select pg_terminate_backend(${holder.pid});`);
    },
  );

  test("are not called by what cannot be rolled back, and by a run that goes on with it", async () => {
    const failed = await run(target, makeBundle(first, broken));
    const resumed = await run(target, makeBundle(first, half));

    expect(failed.error?.message).toContain("nowhere");
    expect(resumed.status).toBe("applied");
  });

  test("are not called by a baseline and by repairs", async () => {
    await database.sqlAsOwner("create table public.notes (id int)");
    const bundle = makeBundle(first, second);
    await amend({ kind: "baseline", to: first.tag }, bundle);
    await amend(
      { kind: "accept", tag: first.tag },
      makeBundle({ ...first, hash: "0".repeat(64) }, second),
    );
    await amend({ kind: "accept", tag: first.tag }, bundle);
    await database.sqlAsOwner(`
      create table public.__drizzle_migrations (id serial primary key, hash pg_catalog.text, created_at bigint);
      insert into public.__drizzle_migrations (hash, created_at) values ('${second.hash}', 2000)`);
    const merged = await amend({ kind: "merge-ledgers" }, bundle);

    expect(merged.written).toBe(true);
    expect((await run(target, bundle)).status).toBe("up-to-date");
  });

  test("are not called by a run that waits for another one, and names it", async () => {
    await run(target, makeBundle(first));
    const holder = await database.hold("lock table public.notes");
    const running = run(target, makeBundle(first, second), { ddlLockTimeoutMs: 60_000 });
    await expect
      .poll(
        () =>
          database.sql(
            "select from pg_locks where not granted and relation = 'public.notes'::regclass",
          ),
        {
          timeout: 60_000,
        },
      )
      .toHaveLength(1);

    const locked = await run(target, makeBundle(first, second), { lockTimeoutMs: 3_000 });
    await holder.release();

    expect(locked.error).toMatchObject({ code: "LOCKED" });
    expect(locked.error?.message).toContain("neon-migrate/test");
    expect((await running).status).toBe("applied");
  });
});

test("types of the same name are not taken either", async () => {
  await database.sql(plantTypes("ahead"));
  await aheadOfEverything();

  const failed = await run(target, makeBundle(first, second, broken));
  const resumed = await run(target, makeBundle(first, second, half));

  expect(failed.error?.message).toContain("nowhere");
  expect(resumed.status).toBe("applied");
  expect(
    await database.sql(
      "select count(*)::int as n from pg_attribute a join pg_type t on t.oid = a.atttypid where attrelid::regclass::text like 'drizzle.%' and t.typtype = 'd'",
    ),
  ).toEqual([{ n: 0 }]);
});

import { beforeEach, describe, expect, test } from "vitest";
import { amendLedger } from "../../../lib/amend/amend.ts";
import { silentLog } from "../../../lib/log.ts";
import type { Target } from "../../../lib/target/target.ts";
import type { Role } from "../../../local/postgres/admin.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { untilBlocked, untilQueued } from "../../setup/scene.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const empty = makeMigration("0000_empty", 500);
const bundle = makeBundle(first, second);
const TABLE = "__drizzle_migrations";
const LEDGER_COLUMNS = "(id serial primary key, hash text not null, created_at bigint)";

let database: TestDatabase;
let relay: string;
let owner: Target;
let stranger: Role;

beforeEach(async () => {
  database = await createTestDatabase();
  relay = (await database.startRelay()).address;
  owner = targetOf(database.url, relay);
  stranger = await database.createRole("stranger");
  await database.sql(
    `grant usage, create on schema public to ${stranger.name};
     grant create on database ${database.name} to ${stranger.name}`,
  );
  return async () => {
    await database.sql(`drop owned by ${stranger.name} cascade`);
    await database.close();
  };
});

/** Makes a table like a ledger, with these rows, which everybody may read and write. */
async function plant(schema: string, who: string, rows: readonly (readonly [string, number])[]) {
  await database.sql(`
    set role ${who};
    create schema if not exists ${schema};
    create table ${schema}.${TABLE} ${LEDGER_COLUMNS};
    grant all on ${schema}.${TABLE} to public;
    grant usage on sequence ${schema}.${TABLE}_id_seq to public;
    ${rows.map(([hash, when]) => `insert into ${schema}.${TABLE} (hash, created_at) values ('${hash}', ${when});`).join("")}
    reset role`);
}

const hashesIn = async (schema: string) =>
  (await database.sql(`select hash from ${schema}.${TABLE} order by id`)).map(({ hash }) => hash);

const ROWS = [first, second].map(({ hash, when }) => [hash, when] as const);

describe("a table in public that is not ours, where the caller named no ledger,", () => {
  test.each<[string, () => Promise<void>]>([
    [
      "of another project of our own role",
      () => plant("public", database.owner.name, [["theirs", 5]]),
    ],
    [
      "of another project, which also has an empty file",
      () => plant("public", database.owner.name, [[empty.hash, 5]]),
    ],
    [
      "of a stranger, which says that everything is applied",
      () => plant("public", stranger.name, ROWS),
    ],
    ["of a stranger, and empty", () => plant("public", stranger.name, [])],
    [
      "that has other columns",
      async () => void (await database.sqlAsOwner(`create table public.${TABLE} (version text)`)),
    ],
    [
      "that is a view",
      async () =>
        void (await database.sqlAsOwner(
          `create view public.${TABLE} as select 1 as id, '${first.hash}'::text as hash, 1000::bigint as created_at`,
        )),
    ],
  ])("is left as it is: %s", async (_what, make) => {
    await make();
    const before = await database.sql(`select * from public.${TABLE}`);
    const whole = makeBundle(empty, first, second);

    const fresh = await run(owner, whole);
    const again = await run(owner, whole);

    expect(fresh).toMatchObject({ status: "applied", ledger: { schema: "drizzle" } });
    expect(fresh.warnings).toMatchObject([{ code: "LEDGER_NOT_ADOPTED" }]);
    expect(again).toMatchObject({ status: "up-to-date", warnings: [] });
    expect(await hashesIn("drizzle")).toHaveLength(3);
    expect(await database.sql(`select * from public.${TABLE}`)).toEqual(before);
  });

  test("is not written by a role that has no other place, which is told so", async () => {
    const guest = await database.createRole("guest");
    await database.sql(`grant usage, create on schema public to ${guest.name}`);
    await plant("public", stranger.name, []);

    const report = await run(targetOf(database.urlOf(guest), relay), bundle);

    expect(report.error?.code).toBe("LEDGER_DENIED");
    expect(report.warnings).toMatchObject([{ code: "LEDGER_NOT_ADOPTED" }]);
    expect(await hashesIn("public")).toEqual([]);
    await database.sql(`drop owned by ${guest.name}`);
  });

  test("counts where a row explains a migration of ours", async () => {
    await plant("public", database.owner.name, [ROWS[0] ?? ["", 0], ["newer", 9_000]]);

    const report = await run(owner, bundle);

    expect(report).toMatchObject({
      ledger: { schema: "public" },
      error: { code: "OUT_OF_ORDER" },
      drift: { unknown: [{ hash: "newer" }] },
    });
  });

  test("is not emptied by a merge: the rows that the folder does not know stay", async () => {
    await run(owner, makeBundle(first));
    await plant("public", database.owner.name, [
      ["theirs", 5],
      [second.hash, second.when],
    ]);

    const split = await run(owner, bundle);
    const merged = await amendLedger(
      { kind: "merge-ledgers" },
      {
        bundle,
        target: owner,
        requestId: "test",
        write: true,
        lockTimeoutMs: 60_000,
        log: silentLog,
      },
    );

    expect(split.error?.code).toBe("LEDGER_SPLIT");
    expect(merged.changes.at(-1)?.summary).toContain(`leave 1 row in "public"."${TABLE}"`);
    expect(await hashesIn("public")).toEqual(["theirs"]);
    expect(await hashesIn("drizzle")).toEqual([first.hash, second.hash]);
    expect(await run(owner, bundle)).toMatchObject({ status: "up-to-date", warnings: [] });
  });
});

describe("a table in the ledger's own place that is not believed", () => {
  const spy = "create table spied (who text); grant all on spied to public";

  test.each<[string, string]>([
    [
      "a stranger's table that says that everything is applied",
      `create table drizzle.${TABLE} ${LEDGER_COLUMNS};
       insert into drizzle.${TABLE} (hash, created_at) values ('${first.hash}', 1000), ('${second.hash}', 2000)`,
    ],
    [
      "a stranger's view, whose functions would run as ourselves",
      `create function drizzle.spy() returns int language sql as 'insert into public.spied values (current_user) returning 1';
       create view drizzle.${TABLE} as select drizzle.spy() as id, '${first.hash}'::text as hash, 1000::bigint as created_at`,
    ],
    [
      "a stranger's table with a policy, whose functions would run as ourselves",
      `create function drizzle.spy() returns boolean language sql as 'insert into public.spied values (current_user) returning true';
       create table drizzle.${TABLE} ${LEDGER_COLUMNS};
       alter table drizzle.${TABLE} enable row level security;
       create policy spy on drizzle.${TABLE} using (drizzle.spy())`,
    ],
  ])("is an error, and nothing of it is read: %s", async (_what, sql) => {
    await database.sql(spy);
    await database.sql(`
      set role ${stranger.name}; create schema drizzle; ${sql};
      grant usage on schema drizzle to public; grant all on all tables in schema drizzle to public; reset role`);

    const reports = [
      await run(owner, bundle, { action: "status" }),
      await run(owner, bundle, { action: "plan" }),
      await run(owner, bundle),
    ];

    expect(reports.map(({ error }) => error?.code)).toEqual(Array(3).fill("LEDGER_FOREIGN"));
    expect(reports[0]?.error?.message).toContain(`"${stranger.name}"`);
    expect(await database.sql("select * from spied")).toEqual([]);
    expect(await database.sql("select to_regclass('notes')::text as t")).toEqual([{ t: null }]);
  });

  test("is the ledger once its owner is one of ours, as the error says", async () => {
    await plant("drizzle", stranger.name, ROWS);
    await database.sql(`grant usage on schema drizzle to public`);
    const refused = await run(owner, bundle);
    await database.sql(`grant ${stranger.name} to ${database.owner.name}`);

    expect(refused.error?.code).toBe("LEDGER_FOREIGN");
    expect((await run(owner, bundle)).status).toBe("up-to-date");
  });
});

describe("a ledger that the caller named is the ledger, alone:", () => {
  const named = (schema: string): Target => ({
    ...owner,
    url: `${owner.url}?options=${encodeURIComponent(`-c search_path=${schema}`)}`,
    ledger: { schema, table: TABLE, named: true },
  });

  test("one folder with a schema and a ledger for each tenant, one of them public", async () => {
    await database.sqlAsOwner("create schema t1; create schema t2");

    const reports = [
      await run(named("public"), bundle),
      await run(named("t1"), bundle),
      await run(named("t2"), makeBundle(first)),
      await run(named("t2"), bundle),
    ];

    expect(reports.map(({ status }) => status)).toEqual(Array(4).fill("applied"));
    for (const schema of ["public", "t1", "t2"]) {
      expect(await hashesIn(schema)).toEqual([first.hash, second.hash]);
      expect(await database.sql(`select * from ${schema}.notes`)).toEqual([{ id: 1 }]);
      expect((await run(named(schema), bundle)).status).toBe("up-to-date");
    }
  });

  test("Drizzle's own schema, too, beside a ledger of the same folder in public", async () => {
    await run(named("public"), bundle);
    const drizzle = { ...owner, ledger: { schema: "drizzle", table: TABLE, named: true } };

    const report = await run(drizzle, bundle);

    expect(report.error?.code).toBe("NOT_BASELINED");
    expect(await hashesIn("public")).toHaveLength(2);
  });

  test("and it is created nowhere else", async () => {
    const guest = await database.createRole("guest");
    await database.sql(`grant usage, create on schema public to ${guest.name}`);
    const target = { ...named("closed"), url: database.urlOf(guest) };

    const report = await run(target, bundle);

    expect(report.error?.code).toBe("LEDGER_DENIED");
    expect(report.error?.message).toContain(`create schema "closed"`);
    await database.sql(`drop owned by ${guest.name}`);
  });
});

test("a run that fell back to public meets one that names it", async () => {
  const guest = await database.createRole("guest");
  await database.sql(`
    grant usage, create on schema public to ${guest.name};
    create table gate (id int); insert into gate values (1); grant all on gate to public`);
  const fallen = targetOf(database.urlOf(guest), relay);
  const named = { ...fallen, ledger: { schema: "public", table: TABLE, named: true } };
  const slow = makeBundle(
    makeMigration("0000_slow", 1_000, "update gate set id = id + 1", "create table mine (id int)"),
  );
  const patient = { ddlLockTimeoutMs: 120_000 };
  const gate = await database.hold("select from public.gate for update");

  const one = run(named, slow, patient);
  await untilBlocked(database, "update gate");
  const other = run(fallen, slow, patient);
  await untilQueued(database);
  await gate.release();

  expect([await one, await other].map(({ status }) => status)).toEqual(["applied", "up-to-date"]);
  expect(await database.sql("select id from gate")).toEqual([{ id: 2 }]);
  await database.sql(`drop owned by ${guest.name}`);
});

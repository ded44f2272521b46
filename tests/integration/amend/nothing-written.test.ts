import pc from "picocolors";
import { describe, expect } from "vitest";
import { renderAmendmentFailure } from "../../../bin/amend/render.ts";
import type { AmendmentRequest } from "../../../lib/amend/changes.ts";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { failedReport } from "../../../lib/report/report.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { amend } from "../../setup/amend.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { everythingIn } from "../../setup/everything.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const CHECKPOINTS = `${LEDGER}_checkpoints`;
const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "create table tags (id int)");
const both = makeBundle(first, second);
const broken = makeMigration("0001_half", 2_000, "vacuum notes", "select 1 / 0");
const longer = makeMigration("0001_half", 2_000, "vacuum notes", "vacuum", "select 1 / 0");
const calling = makeMigration(
  "0001_half",
  2_000,
  "create procedure fill() language plpgsql as $$ begin insert into notes values (7); commit; insert into notes values (1 / 0); end $$",
  "call fill()",
);
const doubtful = makeBundle(first, calling);
const resolving = { kind: "resolve", tag: "0001_half", as: "undone" } as const;

/** The ledger in `public`, as a run with LEDGER_SCHEMA has made it. */
const inPublic = (target: Target): Target => ({
  ...target,
  ledger: { schema: "public", table: DEFAULT_LEDGER.table },
});

interface Scene {
  readonly database: TestDatabase;
  readonly target: Target;
}

interface Case {
  readonly request: AmendmentRequest;
  readonly bundle: Bundle;
  readonly error: object;
  prepare(scene: Scene): Promise<unknown>;
  /** Who writes. Default: the owner. */
  as?(scene: Scene): Promise<string>;
}

/** Leaves a statement in doubt: the procedure fails behind its COMMIT. */
async function leaveInDoubt({ target }: Scene): Promise<void> {
  const report = await run(target, doubtful);
  expect(report.error?.code).toBe("STEP_IN_DOUBT");
}

async function split({ target }: Scene): Promise<void> {
  await run(target, makeBundle(first));
  await run(inPublic(target), makeBundle(second));
}

async function guest({ database }: Scene, rights: string): Promise<string> {
  const role = await database.createRole("guest");
  await database.sql(
    `grant usage on schema drizzle to "${role.name}"; ${rights.replaceAll("GUEST", `"${role.name}"`)}`,
  );
  return database.urlOf(role);
}

const invalid = (message: RegExp) => ({
  code: "REQUEST_INVALID",
  message: expect.stringMatching(message),
});

const REFUSED: Readonly<Record<string, Case>> = {
  "a file that is shorter than what has run": {
    request: { kind: "accept", tag: "0001_half" },
    bundle: makeBundle(first, makeMigration("0001_half", 2_000, "vacuum tags")),
    prepare: ({ target }) => run(target, makeBundle(first, longer)),
    error: invalid(/has only 1 now.*Nothing was written\./),
  },
  "no statement in doubt": {
    request: resolving,
    bundle: makeBundle(first, broken),
    prepare: ({ target }) => run(target, makeBundle(first, broken)),
    error: invalid(/nothing to resolve.*Nothing was written\./),
  },
  "a statement that has run and was edited": {
    request: resolving,
    bundle: makeBundle(first, makeMigration("0001_half", 2_000, "select 2", "call fill()")),
    prepare: leaveInDoubt,
    error: { code: "MODIFIED", message: expect.stringMatching(/Nothing was written\./) },
  },
  "a baseline without its tables": {
    request: { kind: "baseline", to: second.tag },
    bundle: both,
    prepare: ({ database }) => database.sqlAsOwner("create table notes (id int)"),
    error: { code: "BASELINE_MISMATCH", message: expect.stringMatching(/Nothing was written\./) },
  },
  "a row to merge whose name nobody knows": {
    request: { kind: "merge-ledgers" },
    bundle: both,
    prepare: async (scene) => {
      await split(scene);
      await scene.database.sqlAsOwner(`
        alter table ${LEDGER} add name text, add applied_at timestamptz;
        update ${LEDGER} set name = '19700101000001_first';
        insert into public.__drizzle_migrations (hash, created_at) values ('${second.hash}', 5)`);
    },
    error: invalid(/Merge with the folder that has this migration\. Nothing was written\./),
  },
  "two checkpoints that contradict each other": {
    request: { kind: "merge-ledgers" },
    bundle: makeBundle(first, longer),
    prepare: async ({ database, target }) => {
      await run(target, makeBundle(first, longer));
      await database.sqlAsOwner(`
        create table public.__drizzle_migrations (like ${LEDGER} including all);
        create table public.__drizzle_migrations_checkpoints (like ${CHECKPOINTS} including all);
        insert into public.__drizzle_migrations select * from ${LEDGER};
        insert into public.__drizzle_migrations_checkpoints select * from ${CHECKPOINTS};
        update public.__drizzle_migrations_checkpoints set done = 0, digests = ''`);
    },
    error: { code: "LEDGER_SPLIT", message: expect.stringMatching(/Nothing was written\.$/) },
  },
  "a role that may only insert": {
    request: { kind: "accept", tag: first.tag },
    bundle: makeBundle(makeMigration(first.tag, first.when, "create table notes (id bigint)")),
    prepare: ({ target }) => run(target, makeBundle(first)),
    as: (scene) => guest(scene, `grant select, insert on ${LEDGER} to GUEST`),
    error: { code: "LEDGER_DENIED", message: expect.stringMatching(/Nothing was written\. Use/) },
  },
  "a role that may only read": {
    request: { kind: "baseline", to: second.tag },
    bundle: both,
    prepare: async ({ database, target }) => {
      await run(target, makeBundle(first));
      await database.sqlAsOwner("create table tags (id int)");
    },
    as: (scene) => guest(scene, `grant select on ${LEDGER} to GUEST`),
    error: { code: "LEDGER_DENIED", message: expect.stringContaining("Nothing is run without") },
  },
  "a role whose transactions are read-only": {
    request: { kind: "baseline", to: first.tag },
    bundle: makeBundle(first),
    prepare: async ({ database }) => {
      await database.sqlAsOwner("create table notes (id int)");
      await database.sql(
        `alter role "${database.owner.name}" set default_transaction_read_only = on`,
      );
    },
    error: { code: "READ_ONLY", message: expect.stringMatching(/Nothing was written\. Use/) },
  },
};

/** Makes the amendment, and looks at what a failure says and leaves. */
async function refuse(scene: Scene, { request, bundle, prepare, as }: Case): Promise<unknown> {
  await prepare(scene);
  const url = (await as?.(scene)) ?? scene.target.url;
  const before = await everythingIn(scene.database);

  const thrown = await amend({ ...scene.target, url }, bundle, request).catch((each) => each);

  const text = renderAmendmentFailure(failedReport("amend", thrown), {
    folder: "drizzle",
    colors: pc.createColors(false),
  });
  expect(text).toMatch(/Failed\. Nothing was written\.$/);
  expect(await everythingIn(scene.database)).toEqual(before);
  return thrown;
}

test.for(Object.entries(REFUSED))(
  "an amendment leaves everything as it was, and says so: %s",
  async ([_what, refused], { database, target }) => {
    expect(await refuse({ database, target }, refused)).toMatchObject(refused.error);
    await database.sql(`alter role "${database.owner.name}" reset default_transaction_read_only`);
    await database.sql(`drop owned by "${database.name}_guest"`).catch(() => undefined);
  },
);

/** What takes changes away, or refuses them late, by its name. `TABLE` is the table of the ledger or of checkpoints. */
const OBSTACLES = {
  "a trigger before": `create trigger t before insert or update or delete on TABLE for each row execute function kept()`,
  "a rule": `create rule r as on EVENT to TABLE do instead nothing`,
  "a trigger behind": `create trigger t after insert or update on TABLE for each row execute function undone()`,
  "a trigger at the COMMIT": `create constraint trigger t after insert or update on TABLE deferrable initially deferred for each row execute function undone()`,
};

const FUNCTIONS = `
  create function kept() returns trigger language plpgsql as $$ begin
    if tg_op = 'UPDATE' then return old; end if; return null; end $$;
  create function undone() returns trigger language plpgsql as $$ begin
    if pg_trigger_depth() > 1 then return null; end if;
    execute format('delete from %s', tg_relid::regclass);
    return null; end $$`;

const swallowed = {
  code: "LEDGER_UNWRITABLE",
  message: expect.stringMatching(/are rolled back\. .*missing/),
};

const hinder = (name: keyof typeof OBSTACLES, table: string, event: string): string =>
  `${FUNCTIONS}; ${OBSTACLES[name].replaceAll("TABLE", table).replace("EVENT", event)}`;

describe.each(Object.keys(OBSTACLES) as (keyof typeof OBSTACLES)[])("%s", (name) => {
  const cases: Readonly<Record<string, Case>> = {
    "a statement in doubt that is not settled": {
      request: resolving,
      bundle: doubtful,
      prepare: async (scene) => {
        await leaveInDoubt(scene);
        await scene.database.sqlAsOwner(hinder(name, CHECKPOINTS, "insert"));
      },
      error: swallowed,
    },
    "a statement in doubt that completes its migration": {
      request: { ...resolving, as: "done" },
      bundle: doubtful,
      prepare: async (scene) => {
        await leaveInDoubt(scene);
        await scene.database.sqlAsOwner(hinder(name, LEDGER, "insert"));
      },
      error: swallowed,
    },
    "a row that does not reach the other ledger": {
      request: { kind: "merge-ledgers" },
      bundle: both,
      prepare: async (scene) => {
        await split(scene);
        await scene.database.sqlAsOwner(hinder(name, LEDGER, "insert"));
      },
      error: swallowed,
    },
  };
  test.for(Object.entries(cases))(
    "is noticed before the COMMIT: %s",
    async ([_w, each], { database, target }) => {
      expect(await refuse({ database, target }, each)).toMatchObject(each.error);
    },
  );
});

test("rows that do not leave the other ledger are noticed before the COMMIT", async ({
  database,
  target,
}) => {
  const thrown = await refuse(
    { database, target },
    {
      request: { kind: "merge-ledgers" },
      bundle: both,
      prepare: async (scene) => {
        await split(scene);
        await scene.database.sqlAsOwner(hinder("a rule", "public.__drizzle_migrations", "delete"));
      },
      error: swallowed,
    },
  );
  expect(thrown).toMatchObject(swallowed);
});

test("a trigger that refuses at the COMMIT is told in its own words", async ({
  database,
  target,
}) => {
  const thrown = await refuse(
    { database, target },
    {
      request: { kind: "baseline", to: second.tag },
      bundle: both,
      prepare: async () => {
        await run(target, makeBundle(first));
        await database.sqlAsOwner(`create table tags (id int);
        create function no() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;
        create constraint trigger no after insert on ${LEDGER} deferrable initially deferred
          for each row execute function no()`);
      },
      error: {},
    },
  );
  expect(thrown).toMatchObject({
    code: "LEDGER_UNWRITABLE",
    message: expect.stringMatching(/not today \(P0001\)\. The transaction is rolled back\./),
  });
});

import pc from "picocolors";
import { expect } from "vitest";
import { renderReport } from "../../../bin/render/report.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { everythingIn } from "../../setup/everything.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const LEDGER = "drizzle.__drizzle_migrations";
const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const CLEAN = "No pending migration has left anything behind.";

/** A failure of a transaction. */
interface Case {
  /** Done by the ledger's owner before the run. */
  readonly before?: string;
  /** Done by another session meanwhile. */
  readonly held?: string;
  /** The last statement of the migration. */
  readonly statement?: string;
  readonly request?: object;
  readonly code: string;
  readonly sqlstate?: string;
  readonly words: RegExp;
}

const trigger = (body: string) => `
  create function t() returns trigger language plpgsql as $$ begin ${body} end $$;
  create trigger t before insert on ${LEDGER} for each row execute function t()`;

const UNWRITABLE = /could not be prepared or written: .*The transaction is rolled back\./;

const CASES: Readonly<Record<string, Case>> = {
  "a lock that others keep": {
    held: "lock table notes in share mode",
    statement: "alter table notes add text text",
    request: { timeoutMs: 2_500, ddlLockTimeoutMs: 100 },
    ...{ code: "LOCK_TIMEOUT", sqlstate: "55P03" },
    words: /until the time was over; it is rolled back\./,
  },
  "the end of the time": {
    statement: "select pg_sleep(3600)",
    request: { timeoutMs: 2_500 },
    ...{ code: "DEADLINE", words: /what was not committed is rolled back\. Raise/ },
  },
  "the end of each session": {
    statement: "select pg_terminate_backend(pg_backend_pid())",
    ...{ code: "CONNECTION_LOST", words: /What was not committed is rolled back; run again\./ },
  },
  "a migration that writes the ledger": {
    statement: `delete from ${LEDGER}`,
    ...{
      code: "LEDGER_CHANGED",
      words: /one for each migration\. .*The transaction is rolled back\./,
    },
  },
  "a trigger that keeps no row": {
    before: trigger("return null;"),
    code: "LEDGER_UNWRITABLE",
    words: /does not have it now, so the transaction is rolled back\./,
  },
  "a sequence behind its rows": {
    before: `select setval('${LEDGER}_id_seq', 1, false)`,
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "23505" },
    words: /Sequences are not replicated\. The transaction is rolled back\./,
  },
  "a policy without INSERT": {
    before: `alter table ${LEDGER} enable row level security; alter table ${LEDGER} force row level security;
      create policy seen on ${LEDGER} for select using (true)`,
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "42501" },
    words: /row-level security policy\. The transaction is rolled back\./,
  },
  "a check": {
    before: `alter table ${LEDGER} add check (created_at < 2000)`,
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "23514", words: UNWRITABLE },
  },
  "a column that must have a value": {
    before: `alter table ${LEDGER} add who text not null default 'x'; alter table ${LEDGER} alter who drop default`,
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "23502", words: UNWRITABLE },
  },
  "a trigger that raises": {
    before: trigger("raise 'not today';"),
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "P0001", words: UNWRITABLE },
  },
  "a trigger that divides": {
    before: trigger("new.id = 1 / 0; return new;"),
    ...{ code: "LEDGER_UNWRITABLE", sqlstate: "22012", words: UNWRITABLE },
  },
};

async function holding(database: TestDatabase, text: string | undefined) {
  return text === undefined ? null : await database.hold(text);
}

test.for(
  Object.entries(CASES).flatMap(([what, each]) =>
    ["drizzle", "statements"].map((executor) => [what, executor, each] as const),
  ),
)(
  "a transaction that is called rolled back has left nothing: %s (%s)",
  async ([_what, executor, each], { database, target }) => {
    await run(target, makeBundle(first));
    if (each.before !== undefined) await database.sqlAsOwner(each.before);
    const before = await everythingIn(database);
    const holder = await holding(database, each.held);
    const wrong = makeMigration(
      "0001_wrong",
      2_000,
      "create table tags ()",
      "insert into notes values (1)",
      each.statement ?? "select 1",
    );
    const bundle = makeBundle(first, wrong);

    const report = await run(target, bundle, { ...each.request, executor });

    await holder?.release();
    expect(report.error?.code).toBe(each.code);
    if (each.sqlstate !== undefined) expect(report.error?.sqlstate).toBe(each.sqlstate);
    expect(report.error?.message).toMatch(each.words);
    const text = renderReport(report, {
      ...{ action: "up", folder: "drizzle", bundle },
      colors: pc.createColors(false),
    });
    expect(text.includes(CLEAN)).toBe(each.code !== "CONNECTION_LOST");
    expect(await everythingIn(database)).toEqual(before);
  },
);

test("a statement that stands alone and is called not done has done nothing", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(first));
  const file = () => database.sql("select pg_relation_filenode('notes') as file");
  const before = await file();
  const holder = await database.hold("lock table notes in share mode");
  const full = makeMigration("0001_full", 2_000, "vacuum full notes");

  const report = await run(target, makeBundle(first, full), {
    timeoutMs: 2_500,
    ddlLockTimeoutMs: 100,
  });

  await holder.release();
  expect(report.error?.code).toBe("LOCK_TIMEOUT");
  expect(report.error?.message).toContain("until the time was over; it is not done.");
  expect(await file()).toEqual(before);
  expect(await database.sql(`select done, running from ${LEDGER}_checkpoints`)).toEqual([
    { done: 0, running: null },
  ]);
});

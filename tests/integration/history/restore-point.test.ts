import { expect } from "vitest";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const one = makeBundle(makeMigration("0000_one", 1_000, "create table one (id int)"));
const HERE = "select pg_current_wal_insert_lsn()::text as here";

async function here(database: TestDatabase): Promise<string> {
  const [row] = await database.sql(HERE);
  return String(row?.here);
}

/** Whether the positions stand in this order in the log. */
async function inOrder(
  database: TestDatabase,
  positions: readonly (string | null | undefined)[],
): Promise<boolean> {
  const [row] = await database.sql(
    "select array_agg(p order by i) = array_agg(p order by p) and count(p) = count(*) as is from unnest($1::pg_lsn[]) with ordinality as u(p, i)",
    [positions],
  );
  return row?.is === true;
}

test("lies before the first write of the run, and costs no round trip", async ({
  database,
  target,
}) => {
  const before = await here(database);
  const applied = await run(target, one);
  const behind = await here(database);
  const idle = await run(target, one);

  expect(await inOrder(database, [before, applied.restorePoint?.lsn, behind])).toBe(true);
  expect(await inOrder(database, [behind, idle.restorePoint?.lsn])).toBe(true);
  expect(applied.restorePoint?.lsn).not.toBe(behind);
  expect(idle).toMatchObject({ status: "up-to-date", roundTrips: 2 });
  const [clock] = await database.sql(
    "select clock_timestamp() - $1::timestamptz between '0' and '10 min' as near",
    [idle.restorePoint?.time],
  );
  expect(clock).toEqual({ near: true });
});

test.for(["plan", "status"] as const)("is in the answer to %s", async (action, { target }) => {
  const report = await run(target, one, { action });

  expect(report.restorePoint?.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
});

test("lies behind what others wrote while the run waited for the lock", async ({
  database,
  target,
}) => {
  const other = await database.hold(lockQuestion(DEFAULT_LEDGER));
  let begun = () => {};
  const waiting = new Promise<void>((done) => {
    begun = done;
  });
  const running = run(target, one, {}, { log: (event) => event === "lock.waiting" && begun() });
  await waiting;
  await other.sql("create table others (id int); commit");
  const theirs = await here(database);
  await other.release();
  const { restorePoint } = await running;

  expect(await inOrder(database, [theirs, restorePoint?.lsn, await here(database)])).toBe(true);
});

test("stays where it was when a run plans again behind its own writes", async ({
  database,
  target,
}) => {
  const marks = "create table marks as select pg_current_wal_insert_lsn()::text as here";
  // The server alone knows that the second migration stands alone: no transaction can hold it.
  const commits = "do $$ begin create table two (id int); commit; end $$";
  const two = makeBundle(
    makeMigration("0000_one", 1_000, marks),
    makeMigration("0001_two", 2_000, commits),
  );
  const events: string[] = [];

  const report = await run(
    target,
    two,
    { transaction: "each" },
    { log: (event) => events.push(event) },
  );
  const [mark] = await database.sql("select here from marks");

  expect(report.status).toBe("applied");
  expect(events).toContain("plan.again");
  expect(await inOrder(database, [report.restorePoint?.lsn, String(mark?.here)])).toBe(true);
});

test("has no position where the right to ask for it is revoked, and the run goes on", async ({
  database,
  target,
}) => {
  await database.sql("revoke execute on function pg_current_wal_insert_lsn() from public");
  const report = await run(target, one);

  expect(report).toMatchObject({ status: "applied", restorePoint: { lsn: null } });
});

test("is null where no database answered", async ({ target }) => {
  const report = await run(
    { ...target, url: target.url.replace(/\/[^/]+$/, "/none_of_this_name") },
    one,
  );

  expect(report).toMatchObject({ status: "failed", restorePoint: null });
});

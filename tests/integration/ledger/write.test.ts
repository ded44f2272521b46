import { beforeEach, expect, test } from "vitest";
import type { Target } from "../../../lib/target/target.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

const first = makeMigration("0000_first", 1_000, "create table notes (id int)");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
const LEDGER = "drizzle.__drizzle_migrations";

let database: TestDatabase;
let target: Target;

beforeEach(async () => {
  database = await createTestDatabase();
  target = targetOf(database.url, (await database.startRelay()).address);
  return () => database.close();
});

async function waits(): Promise<boolean> {
  const waiting = await database.sql(
    "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
  );
  return waiting.length > 0;
}

test.each(["drizzle", "statements"])(
  "a ledger that takes no row is no failure of the migration: %s",
  async (executor) => {
    await run(target, makeBundle(first));
    await database.sqlAsOwner(`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'full' using errcode = 'disk_full', hint = 'Make room.'; end $$;
      create trigger refuse before insert on ${LEDGER} for each row execute function refuse()`);

    const report = await run(target, makeBundle(first, second), { executor });

    expect(report).toMatchObject({
      ...{ status: "failed", executor, atomic: true, applied: [] },
      pending: [{ tag: second.tag }],
      error: {
        ...{ code: "LEDGER_UNWRITABLE", sqlstate: "53100", hint: "Make room.", retryable: false },
        ...{ migration: null, statement: null },
      },
    });
    expect(await database.sql("select from notes")).toEqual([]);
    expect(await database.sql(`select from ${LEDGER}`)).toHaveLength(1);

    await database.sqlAsOwner(`drop trigger refuse on ${LEDGER}`);
    expect((await run(target, makeBundle(first, second), { executor })).status).toBe("applied");
  },
);

test.each(["drizzle", "statements"])(
  "a ledger that others have locked is tried again, as a table is: %s",
  async (executor) => {
    await run(target, makeBundle(first));
    const holder = await database.hold(`lock table ${LEDGER} in share mode`);

    const running = run(target, makeBundle(first, second), { executor, ddlLockTimeoutMs: 100 });
    await waitFor(waits);
    await waitFor(async () => !(await waits()));
    await holder.release();

    expect((await running).status).toBe("applied");
  },
);

import { describe, expect } from "vitest";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import { stopClock } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { ENDING, makeSlowEnd, openGate } from "../../setup/slow-end.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int, balance int not null)",
  "insert into accounts values (1, 100)",
);

/** @param what is evaluated for the sessions that are found, and for no others */
async function seen(database: TestDatabase, condition: string, what = "pid"): Promise<boolean> {
  const rows = await database.sql(
    `select ${what} from pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database() and ${condition}`,
  );
  return rows.length > 0;
}

async function count(database: TestDatabase, from: string): Promise<number> {
  const [row] = await database.sql(`select count(*)::int as n from ${from}`);
  return Number(row?.n);
}

/** Lets what the server still has to say go nowhere, and breaks the connection once that is so. */
async function loseTheAnswer(
  relay: Relay,
  happens: () => Promise<void>,
  until: () => Promise<boolean>,
) {
  relay.silence();
  await happens();
  await waitFor(until);
  relay.cutAll();
  relay.silence(false);
}

describe("an answer to COMMIT that is lost", () => {
  test.for(["drizzle", "statements"])(
    "is found in the ledger: applied (%s)",
    async (executor, { database, relay, target }) => {
      await makeSlowEnd(database);
      const booking = makeMigration(
        "0001_booking",
        2_000,
        "update accounts set balance = balance + 1",
        "insert into bookings values (1)",
      );
      const running = run(target, makeBundle(accounts, booking), { executor });
      await waitFor(() => seen(database, ENDING));

      const committed = async () => (await count(database, "bookings")) === 1;
      await loseTheAnswer(relay, () => openGate(database), committed);

      const report = await running;
      expect(report).toMatchObject({
        status: "applied",
        applied: [{ tag: accounts.tag }, { tag: booking.tag }],
        pending: [],
      });
      expect(report.warnings.map(({ code }) => code)).toEqual(["CONNECTION_LOST"]);
      expect(await database.sql("select balance from accounts")).toEqual([{ balance: 101 }]);
      expect([
        await count(database, "bookings"),
        await count(database, "drizzle.__drizzle_migrations"),
      ]).toEqual([1, 2]);
    },
  );
});

describe("a connection that breaks while an index is built concurrently", () => {
  const indexing = makeMigration(
    "0001_indexing",
    2_000,
    "insert into accounts values (2, 0)",
    "create index concurrently on accounts (balance)",
    "insert into accounts values (3, 0)",
  );
  // Before it waits for the writer, its index is not committed yet.
  const builder = async (database: TestDatabase): Promise<unknown> => {
    const [row] = await database.sql(
      "select pid from pg_stat_progress_create_index where phase like 'waiting for writers%' and datname = current_database()",
    );
    return row?.pid;
  };
  const indexes = (database: TestDatabase) =>
    database.sql(
      "select i.indexrelid::int as id, i.indisvalid as valid from pg_index i where indrelid = 'accounts'::regclass",
    );

  /** Starts a run that comes to its build, and has to wait there for a writer. */
  async function startBuilding(database: TestDatabase, target: Target) {
    await run(target, makeBundle(accounts));
    const writer = await database.hold("update accounts set balance = 100");
    const running = run(target, makeBundle(accounts, indexing));
    await waitFor(async () => (await builder(database)) !== undefined);
    return { writer, running, first: await builder(database) };
  }

  async function expectAppliedOnce(database: TestDatabase): Promise<void> {
    const rows = await database.sql("select id from accounts order by id");
    expect(rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(await count(database, "drizzle.__drizzle_migrations")).toBe(2);
    expect(await count(database, "drizzle.__drizzle_migrations_checkpoints")).toBe(0);
  }

  test("costs the INVALID remains, and the run builds it again", async ({
    database,
    relay,
    target,
  }) => {
    const { writer, running, first } = await startBuilding(database, target);

    relay.cutAll();
    // The run may build it again before anybody looks.
    await waitFor(async () => (await builder(database)) !== first);
    await writer.release();

    const report = await running;
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: indexing.tag }] });
    const warnings = report.warnings.map(({ code }) => code);
    expect(warnings).toEqual(["CONNECTION_LOST", "INVALID_INDEX_DROPPED"]);
    expect(await indexes(database)).toMatchObject([{ valid: true }]);
    await expectAppliedOnce(database);
  });

  test("before the good news arrives does not build it twice", async ({
    database,
    relay,
    target,
  }) => {
    const { writer, running } = await startBuilding(database, target);
    const valid = async () => (await indexes(database)).some((index) => index.valid === true);

    await loseTheAnswer(relay, () => writer.release(), valid);
    const [built] = await indexes(database);

    const report = await running;
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: indexing.tag }] });
    const warnings = report.warnings.map(({ code }) => code);
    expect(warnings).toEqual(["CONNECTION_LOST", "STEP_FOUND_DONE"]);
    expect(await indexes(database)).toEqual([built]);
    await expectAppliedOnce(database);
  });
});

test("a session that ends while it is idle is reported by its cause, not by what follows from it", async ({
  database,
  target,
}) => {
  const holder = await database.hold(lockQuestion(DEFAULT_LEDGER));
  const running = run(target, makeBundle(accounts));
  const terminated = () =>
    seen(
      database,
      "state = 'idle' and query like '%pg_try_advisory_lock%'",
      "pg_terminate_backend(pid)",
    );
  await waitFor(terminated);
  await holder.release();

  const report = await running;

  expect(report).toMatchObject({ status: "applied", warnings: [{ code: "CONNECTION_LOST" }] });
  expect(report.warnings[0]?.message).toContain("administrator command");
  expect(report.warnings[0]?.message).not.toContain("queryable");
});

test("a relay that goes silent is answered for when the time is over, and the lock goes with it", async ({
  database,
  relay,
  target,
}) => {
  const slow = makeMigration("0001_slow", 2_000, "create table slow ()", "select pg_sleep(3600)");
  const timeoutMs = 600_000;
  const clock = stopClock();
  const running = run(target, makeBundle(accounts, slow), { timeoutMs });
  await waitFor(() => seen(database, "wait_event = 'PgSleep'"));
  relay.silence();
  await clock.advance(timeoutMs);
  // Nobody can be asked to cancel the statement, so its connection is dropped a little later, and says goodbye in vain.
  let over = false;
  const ended = running.finally(() => {
    over = true;
  });
  await clock.until(() => over, 100);

  const report = await ended;

  expect(report.error).toMatchObject({
    code: "DEADLINE",
    migration: slow.tag,
    statement: { index: 2 },
    retryable: true,
  });
  const advisory =
    "pg_locks l join pg_database d on d.oid = l.database where l.locktype = 'advisory' and d.datname = current_database()";
  await waitFor(async () => (await count(database, advisory)) === 0);
  expect(await database.sql("select to_regclass('slow') as slow")).toEqual([{ slow: null }]);
});

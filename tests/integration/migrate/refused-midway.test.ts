import { describe, expect } from "vitest";
import { lockQuestion } from "../../../lib/ledger/lock.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import type { ProxyWords } from "../../../local/relay/messages.ts";
import { stopClock } from "../../setup/clock.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { ENDING, makeSlowEnd, openGate } from "../../setup/slow-end.ts";
import { test } from "../../setup/test.ts";
import { waitFor } from "../../setup/wait-for.ts";

const accounts = makeMigration(
  "0000_accounts",
  1_000,
  "create table accounts (id int, balance int not null)",
  "insert into accounts values (1, 100)",
);
const ADD = "update accounts set balance = balance + 1";
const AT_GATE =
  "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.01); end loop; end $$";
const inStatement = makeBundle(accounts, makeMigration("0001_slow", 2_000, ADD, AT_GATE));
const atCommit = makeBundle(
  accounts,
  makeMigration("0001_booking", 2_000, ADD, "insert into bookings values (1)"),
);
const standingAlone = makeBundle(
  accounts,
  makeMigration("0001_indexed", 2_000, "create index concurrently on accounts (balance)", ADD),
);

/** Words of a proxy, or of a pooler behind it: an ERROR, and then the connection is closed. */
const WORDS: readonly ProxyWords[] = [
  { text: "error communicating with the server: early eof" },
  { text: "terminating connection due to administrator command", code: "57P01" },
  { text: "sorry, too many clients already", code: "53300" },
  { text: "server conn crashed?", code: "08P01" },
  { text: "a text that is new" },
];

async function isThere(database: TestDatabase, condition: string): Promise<boolean> {
  const rows = await database.sql(
    `select from pg_stat_activity where application_name like 'neon-migrate/%' and datname = current_database() and ${condition}`,
  );
  return rows.length > 0;
}

async function balances(database: TestDatabase): Promise<readonly unknown[]> {
  return (await database.sql("select balance from accounts")).map(({ balance }) => balance);
}

describe("a session whose end a proxy tells", () => {
  /** Where a run stands when it is told, and how it goes on. */
  const MOMENTS = [
    {
      moment: "while it waits for the lock",
      bundle: makeBundle(accounts, makeMigration("0001_add", 2_000, ADD)),
      begin: async (database: TestDatabase) => {
        const holder = await database.hold(lockQuestion(DEFAULT_LEDGER));
        return () => holder.release();
      },
      stands: "state = 'idle' and query like '%pg_try_advisory_lock%'",
    },
    {
      moment: "in a statement",
      bundle: inStatement,
      begin: async (database: TestDatabase) => {
        await database.sqlAsOwner("create table gate (id int)");
        return () => openGate(database);
      },
      stands: "wait_event = 'PgSleep'",
    },
    {
      moment: "in its COMMIT",
      bundle: atCommit,
      begin: async (database: TestDatabase) => {
        await makeSlowEnd(database);
        return () => openGate(database);
      },
      stands: ENDING,
    },
    {
      moment: "in a statement that stands alone",
      bundle: standingAlone,
      begin: async (database: TestDatabase, target: Target) => {
        await run(target, makeBundle(accounts));
        const writer = await database.hold("update accounts set balance = 100");
        return () => writer.release();
      },
      stands: "query like 'create index%' and wait_event_type = 'Lock'",
    },
  ];
  const cases = MOMENTS.flatMap((moment, index) =>
    WORDS.filter((_words, at) => index === 1 || at === index).map((words) => ({
      ...moment,
      words,
    })),
  );

  test.for(cases)("is replaced $moment: $words.text", async (each, { database, relay, target }) => {
    const goOn = await each.begin(database, target);
    relay.resetStats();
    const running = run(target, each.bundle);
    await waitFor(() => isThere(database, each.stands));
    relay.endAll(each.words);
    let over = false;
    void running.finally(() => {
      over = true;
    });
    await waitFor(() => over || relay.stats().connections > 1);
    await goOn();

    const report = await running;

    expect(report).toMatchObject({ status: "applied", pending: [] });
    expect(report.warnings[0]).toMatchObject({ code: "CONNECTION_LOST" });
    expect(report.warnings[0]?.message).toContain(each.words.text);
    expect(await balances(database)).toEqual([101]);
  });
});

describe("a compute that is cut off from its storage", () => {
  const FAIL = `
    if nextval('tries') < 3 then
      raise '[NEON_SMGR] [shard 0] could not establish connection to pageserver' using errcode = '08001';
    end if;`;
  const block = `do $$ begin ${FAIL} end $$`;
  const deferred = `
    create function fails() returns trigger language plpgsql as $$ begin ${FAIL} return null; end $$;
    create constraint trigger fails after update on accounts deferrable initially deferred
      for each row execute function fails()`;

  test.for([
    ["in a statement", [ADD, block]],
    ["in its COMMIT", [deferred, ADD]],
    ["in a statement that stands alone", [ADD, `${block} -- neon-migrate: no-transaction`]],
  ] as const)("is given another session, %s", async ([_when, statements], { database, target }) => {
    await database.sqlAsOwner("create sequence tries");
    const bundle = makeBundle(accounts, makeMigration("0001_add", 2_000, ...statements));

    const report = await run(target, bundle);

    expect(report).toMatchObject({ status: "applied", pending: [] });
    const words = /NEON_SMGR.* What was not committed is rolled back; run again\./;
    const lost = report.warnings.map(({ code, message }) => [code, words.test(message)]);
    expect(lost).toEqual(Array(2).fill(["CONNECTION_LOST", true]));
    expect(await balances(database)).toEqual([101]);
  });
});

describe("a second session that is refused at first", () => {
  const TIMEOUT_MS = 600_000;

  test("still cancels the statement of a run whose time is over", async ({ database }) => {
    await database.sqlAsOwner("create table gate (id int)");
    const relay = await database.startRelay({ mode: "neon" });
    const clock = stopClock();
    const running = run(targetOf(database.url, relay.address), inStatement, {
      timeoutMs: TIMEOUT_MS,
    });
    await waitFor(() => isThere(database, "wait_event = 'PgSleep'"));
    relay.failLogins({ text: "sorry, too many clients already", code: "53300" });
    await clock.advance(TIMEOUT_MS - 1_000);
    const before = relay.stats().connections;
    await clock.advance(1_000);
    await waitFor(() => relay.stats().connections > before);
    relay.failLogins(null);

    const report = await clock.run(running);

    expect(report.error).toMatchObject({ code: "DEADLINE", migration: "0001_slow" });
    // The server has said that it was cancelled.
    expect(report.error?.message).not.toContain("did not confirm");
    expect(report.atomic).toBe(true);
  });

  test("still asks the ledger what became of a COMMIT", async ({ database }) => {
    await makeSlowEnd(database);
    const relay = await database.startRelay({ mode: "neon" });
    const clock = stopClock();
    const running = run(targetOf(database.url, relay.address), atCommit, { timeoutMs: TIMEOUT_MS });
    await waitFor(() => isThere(database, ENDING));
    relay.swallow();
    await openGate(database);
    await waitFor(async () => (await database.sql("select from bookings")).length === 1);
    relay.failLogins("Too many connections attempts");
    await clock.advance(TIMEOUT_MS);
    let over = false;
    const ended = running.finally(() => {
      over = true;
    });
    // The one that cancels, and the first that asks.
    await clock.until(() => relay.stats().connections > 3 || over, 10);
    relay.failLogins(null);

    const report = await clock.run(ended);

    expect(report).toMatchObject({ status: "applied", pending: [] });
    expect(await balances(database)).toEqual([101]);
  });
});

import { describe, expect, type TestContext, test } from "vitest";
import type { Log } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { parseRequest } from "../../../lib/request.ts";
import { type StillClock, stopClock } from "../../setup/clock.ts";
import { createTestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

const migrationOf = (...statements: readonly string[]) =>
  makeBundle(makeMigration("0000_change", 1_000, ...statements));

/** Longer than any machine needs to come to the point of a test. */
const LONG_MS = 3_600_000;
const PATIENCE_MS = 120_000;

/** Waits until the table has a row. */
const GATE =
  "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.02); end loop; end $$";

type Context = Pick<TestContext, "onTestFinished">;

/** A database with one table, and a way to it. The tests wait rather than work, so most do it side by side. */
async function setUp({ onTestFinished }: Context) {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const target = targetOf(database.url, (await database.startRelay()).address);
  await database.sqlAsOwner("create table accounts (id int primary key, email text)");
  await database.sqlAsOwner("insert into accounts values (1, 'a'), (2, 'b')");
  await database.sqlAsOwner("create table gate ()");

  /** Whether a session does so. */
  async function does(condition: string, values: readonly unknown[] = []): Promise<boolean> {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database() and ${condition}`,
      values,
    );
    return rows.length > 0;
  }
  const waits = (statement: string, more = "") =>
    does(
      `application_name like 'neon-migrate/%' and wait_event_type = 'Lock' and strpos(query, $1) > 0 ${more}`,
      [statement],
    );
  return {
    database,
    target,
    does,
    waits,
    migrate: (statements: readonly string[], request: object = {}) =>
      run(target, migrationOf(...statements), request),
    hold: async (text: string) => {
      const holder = await database.hold(text);
      onTestFinished(() => holder.release());
      return holder;
    },
    untilItWaits: (statement: string) => waitFor(() => waits(statement), PATIENCE_MS),
    /** Longer than a statement waits that has a lock time-out of 100 ms. */
    staysWaiting: (statement: string) =>
      waitFor(
        () => waits(statement, "and clock_timestamp() - query_start > interval '300 ms'"),
        PATIENCE_MS,
      ),
    /** From here on sessions look after so long whether they wait for each other. */
    setDeadlockTimeout: (value: string) =>
      database.sql(`alter database ${database.name} set deadlock_timeout = '${value}'`),
    indexes: async (): Promise<readonly unknown[]> => {
      const rows = await database.sql(
        `select c.relname || case when i.indisvalid then '' else ' INVALID' end as name
         from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid = 'accounts'::regclass order by 1`,
      );
      return rows.map(({ name }) => name);
    },
  };
}

/** A run of which a test sees when it pauses between two attempts, and whom it has seen by then. */
function observedRun(
  { target }: Pick<Awaited<ReturnType<typeof setUp>>, "target">,
  statements: readonly string[],
  request: object,
) {
  const seen: unknown[] = [];
  const sqlstates: unknown[] = [];
  let paused = false;
  let over = false;
  const log: Log = (event, fields) => {
    if (event !== "transaction.retry") return;
    paused = true;
    sqlstates.push(fields?.sqlstate);
    if (Array.isArray(fields?.blockedBy)) seen.push(...fields.blockedBy);
  };
  const onProgress = () => {
    paused = false;
  };
  // Drizzle's executor prepares the ledger at each attempt, which would look like a pause.
  const options = parseRequest({ executor: "statements", ...request });
  const report = migrate(options, {
    ...{ bundle: migrationOf(...statements), target: () => target, requestId: "test" },
    ...{ deadline: null, log, onProgress },
  }).finally(() => {
    over = true;
  });
  /** Lets the time pass while the run pauses, and only then, until it is over. */
  const untilOver = async (clock: StillClock) => {
    while (!over) {
      await clock.until(() => over || paused);
      await clock.advance(10);
    }
    return await report;
  };
  return { report, seen, sqlstates, untilOver };
}

const write = "update accounts set email = email where id = 1";

describe.concurrent("a statement behind which nobody queues", () => {
  test.for<[string, readonly string[]]>([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["drop index concurrently accounts_pkey2", ["accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("waits for older transactions as long as it takes: %s", async ([statement, left], context) => {
    const { database, hold, migrate, staysWaiting, indexes } = await setUp(context);
    if (statement.startsWith("drop")) {
      await database.sqlAsOwner("create index accounts_pkey2 on accounts (id)");
    }
    const writer = await hold(write);

    const running = migrate([statement], { ddlLockTimeoutMs: 100 });
    await staysWaiting(statement);
    await writer.release();

    expect(await running).toMatchObject({ status: "applied", warnings: [] });
    expect(await indexes()).toEqual(left);
  });
});

describe.concurrent("a deadlock in which a statement outside transactions loses", () => {
  test.for<[string, readonly string[]]>([
    ["create index concurrently on accounts (email)", ["accounts_email_idx", "accounts_pkey"]],
    ["reindex index concurrently accounts_pkey", ["accounts_pkey"]],
  ])("leaves no INVALID index: %s", async ([statement, left], context) => {
    const { database, hold, migrate, setDeadlockTimeout, does, untilItWaits, indexes } =
      await setUp(context);
    await setDeadlockTimeout("1h");
    const writers = [
      await hold(write),
      await hold("update accounts set email = email where id = 2"),
    ];
    await setDeadlockTimeout("1s");
    const running = migrate([statement]);
    await untilItWaits(statement);
    const [awaited] = await database.sql(
      `select pg_blocking_pids(pid) as pids from pg_stat_activity
       where datname = current_database() and application_name like 'neon-migrate/%' and wait_event_type = 'Lock'`,
    );
    const isAwaited = ({ pid }: { readonly pid: number }) =>
      Array.isArray(awaited?.pids) && awaited.pids.includes(pid);
    const first = writers.find(isAwaited);
    const second = writers.find((writer) => !isAwaited(writer));

    // The second waits for the run before the run waits for it, and never looks: the run finds the deadlock, and loses.
    const locking = second?.sql("lock table accounts in share row exclusive mode");
    locking?.catch(() => undefined);
    await waitFor(() => does("wait_event_type = 'Lock' and pid = $1", [second?.pid]), PATIENCE_MS);
    await first?.release();
    await locking;
    await second?.release();
    const report = await running;

    expect(report).toMatchObject({ status: "applied" });
    expect(report.warnings.map(({ code }) => code)).toEqual(["INVALID_INDEX_DROPPED"]);
    expect(await indexes()).toEqual(left);
  });
});

test("a transaction is tried again when it could not be serialized (40001)", async (context) => {
  const scene = await setUp(context);
  const { database, hold, untilItWaits } = scene;
  await database.sqlAsOwner("create table tries ()");
  const writer = await hold("update accounts set email = 'w' where id = 1");
  const running = observedRun(
    scene,
    [
      "set transaction isolation level repeatable read",
      "update accounts set email = email || '!' where id = 1",
    ],
    { executor: "auto", transaction: "each", ddlLockTimeoutMs: 600_000 },
  );
  await untilItWaits("update accounts");
  await writer.sql("commit");

  expect(await running.report).toMatchObject({ status: "applied" });
  expect(running.sqlstates).toEqual(["40001"]);
  expect(await database.sql("select email from accounts where id = 1")).toEqual([{ email: "w!" }]);
});

// One clock serves the whole process, so these run one after the other.
describe("a run whose time ends while it waits for others", () => {
  test("says whom it waited for, in a statement behind which nobody queues", async (context) => {
    const clock = stopClock();
    const { hold, migrate, waits, indexes } = await setUp(context);
    const build = "create index concurrently on accounts (email)";
    const writer = await hold(write);

    const running = migrate([build], { ddlLockTimeoutMs: 100, timeoutMs: LONG_MS });
    await clock.until(() => waits(build));
    await clock.advance(LONG_MS);
    const report = await clock.run(running);
    await writer.release();

    expect(report.error).toMatchObject({ code: "DEADLINE", migration: "0000_change" });
    expect(report.error?.message).toContain(`(pid ${writer.pid},`);
    expect(report.error?.message).toContain(`last statement: ${write}`);
    expect(report.error?.message).toContain(`select pg_terminate_backend(${writer.pid});`);
    expect(await clock.run(migrate([build]))).toMatchObject({ status: "applied" });
    expect(await indexes()).toEqual(["accounts_email_idx", "accounts_pkey"]);
  });

  test("names who blocks it also where the wait comes late", async (context) => {
    const clock = stopClock();
    const scene = await setUp(context);
    const { database, does, hold } = scene;
    const reader = await hold("select from accounts");
    const statements = [GATE, "alter table accounts add column name text"];

    const deadline = Date.now() + LONG_MS;
    const running = observedRun(scene, statements, { ddlLockTimeoutMs: 400, timeoutMs: LONG_MS });
    await clock.until(() => does("wait_event = 'PgSleep'"));
    await clock.until(() => does("state = 'idle' and strpos(query, 'pg_blocking_pids') > 0"), 10);
    await database.sqlAsOwner("insert into gate default values");
    await clock.until(() => running.seen.length > 0, 10);
    // There is no time for another attempt.
    await clock.advance(deadline - Date.now() - 1_400);
    const report = await running.untilOver(clock);

    expect(report.error).toMatchObject({
      code: "LOCK_TIMEOUT",
      sqlstate: "55P03",
      statement: { index: 2 },
      retryable: true,
    });
    expect(report.error?.message).toMatch(
      new RegExp(
        `Blocked by:\\n- [^;]*\\(pid ${reader.pid}, role \\S+, connected since \\S+ \\S+ UTC, in a transaction for \\d+ s, idle in transaction for \\d+ s, last statement: select from accounts\\)`,
      ),
    );
    expect(report.error?.message).toContain(`select pg_terminate_backend(${reader.pid});`);
  });

  test("accuses nobody who has let it pass before its time ends", async (context) => {
    const clock = stopClock();
    const scene = await setUp(context);
    const reader = await scene.hold("select from accounts");
    const statements = ["alter table accounts add column name text", GATE];

    const running = observedRun(scene, statements, { ddlLockTimeoutMs: 400, timeoutMs: LONG_MS });
    await clock.until(() => running.seen.length > 0, 10);
    await reader.release();
    await clock.until(() => scene.does("wait_event = 'PgSleep'"), 10);
    await clock.advance(LONG_MS);
    const report = await clock.run(running.report);

    expect(report.error).toMatchObject({ code: "DEADLINE", statement: { index: 2 } });
    expect(report.error?.message).not.toContain(`${reader.pid}`);
  });

  test("names who has locks on what it names, where nobody came to see it wait", async (context) => {
    const clock = stopClock();
    const scene = await setUp(context);
    const reader = await scene.hold("select from accounts");
    const bystander = await scene.hold("select from gate");

    // The time for one attempt, during which the clock stands still: nobody goes to look.
    const running = observedRun(scene, ["alter table accounts add column name text"], {
      ...{ ddlLockTimeoutMs: 400, timeoutMs: 1_400 },
    });
    const report = await running.untilOver(clock);

    expect(report.error).toMatchObject({ code: "LOCK_TIMEOUT", statement: { index: 1 } });
    expect(report.error?.message).toContain(`These have locks on the objects that it names:\n- `);
    expect(report.error?.message).toContain(`select pg_terminate_backend(${reader.pid});`);
    expect(report.error?.message).not.toContain(`pid ${bystander.pid}`);
  });

  test("uses the time until its deadline, and no more", async (context) => {
    const clock = stopClock();
    const scene = await setUp(context);
    await scene.hold("select from accounts");
    const started = Date.now();

    const running = observedRun(scene, ["alter table accounts add column name text"], {
      ddlLockTimeoutMs: 200,
      timeoutMs: 2_500,
    });
    const report = await running.untilOver(clock);
    const passedMs = Date.now() - started;

    expect(report.error?.code).toBe("LOCK_TIMEOUT");
    expect(running.sqlstates.length).toBeGreaterThan(1);
    expect(passedMs).toBeGreaterThan(1_200);
    expect(passedMs).toBeLessThan(2_500);
  });

  test("ends in LOCK_TIMEOUT when it deadlocks until the time is over (40P01)", async (context) => {
    const clock = stopClock();
    const scene = await setUp(context);
    const { database, does, hold, setDeadlockTimeout } = scene;
    await database.sqlAsOwner("create table other ()");
    await setDeadlockTimeout("1h");
    const holder = await hold("lock table accounts in access exclusive mode");
    await setDeadlockTimeout("1s");
    const statements = [
      "lock table other in access exclusive mode",
      GATE,
      "lock table accounts in access exclusive mode",
    ];

    // The time for one attempt.
    const running = observedRun(scene, statements, {
      ...{ ddlLockTimeoutMs: LONG_MS, timeoutMs: LONG_MS + 1_000 },
    });
    await clock.until(() => does("wait_event = 'PgSleep'"));
    const locking = holder.sql("lock table other in access exclusive mode");
    locking.catch(() => undefined);
    await clock.until(() => does("wait_event_type = 'Lock' and pid = $1", [holder.pid]));
    await database.sqlAsOwner("insert into gate default values");
    const report = await running.untilOver(clock);
    await locking;

    expect(report.error).toMatchObject({ code: "LOCK_TIMEOUT", sqlstate: "40P01" });
    expect(report.error?.detail).toContain(`process ${holder.pid}`);
    expect(report.error?.message).toContain(`(pid ${holder.pid},`);
  });
});

describe("a prepared transaction in the way", () => {
  const PREPARE = "begin; lock table accounts in row exclusive mode; prepare transaction";

  test.for<[string, string, string]>([
    [
      "of a statement in a transaction",
      "alter table accounts add column name text",
      "LOCK_TIMEOUT",
    ],
    [
      "of a statement outside transactions",
      "create index concurrently on accounts (email)",
      "DEADLINE",
    ],
    ["of a VACUUM", "vacuum full accounts", "LOCK_TIMEOUT"],
  ])(
    "is named by its gid, with the way to end it, %s",
    async ([_what, statement, code], context) => {
      const clock = stopClock();
      const scene = await setUp(context);
      const { database, indexes } = scene;
      const gid = `two's ${database.name}`;
      const quoted = `'${gid.replace("'", "''")}'`;
      await database.sqlAsOwner(`${PREPARE} ${quoted}`);

      const deadline = Date.now() + LONG_MS;
      const running = observedRun(scene, [statement], {
        ddlLockTimeoutMs: 400,
        timeoutMs: LONG_MS,
      });
      if (code === "DEADLINE") {
        await clock.until(() => scene.waits(statement));
        await clock.until(
          () => scene.does("state = 'idle' and strpos(query, 'pg_prepared_xacts') > 0"),
          10,
        );
        await clock.advance(LONG_MS);
      } else {
        await clock.until(() => running.seen.length > 0, 10);
        await clock.advance(deadline - Date.now() - 1_400);
      }
      const report = await clock.run(running.report);
      const left = await indexes();
      await database.sqlAsOwner(`rollback prepared ${quoted}`);

      expect(report.error?.code).toBe(code);
      expect(report.error?.message).toContain(`the prepared transaction '${gid}'`);
      expect(report.error?.message).toContain(`rollback prepared ${quoted};`);
      expect(report.error?.message.includes("It left an INVALID index behind")).toBe(
        JSON.stringify(left).includes("INVALID"),
      );
      expect(await clock.run(scene.migrate([statement]))).toMatchObject({ status: "applied" });
    },
  );
});

import { describe, expect, type TestContext, test } from "vitest";
import { lockKey } from "../../../lib/ledger/lock.ts";
import { silentLog } from "../../../lib/log.ts";
import { type Dependencies, migrate } from "../../../lib/migrate/migrate.ts";
import type { Milestone } from "../../../lib/migrate/milestone.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import { stopClock } from "../../setup/clock.ts";
import { createTestDatabase } from "../../setup/database.ts";
import { handlerWith } from "../../setup/handler.ts";
import { lambdaContext } from "../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { expectReport } from "../../setup/report-schema.ts";
import { targetOf } from "../../setup/run.ts";

const first = makeMigration("0000_first", 1_000, "create table one ()");
const slow = makeMigration(
  "0001_slow",
  2_000,
  "create table two ()",
  "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.02); end loop; end $$",
);
const bundle = makeBundle(first, slow);
const EACH = { transaction: "each", onFailure: "return" };
const HOUR_MS = 3_600_000;

/** A run that comes to stand in the second statement of its second migration, in a process whose clock stands still. */
async function setUp(context: Pick<TestContext, "onTestFinished">) {
  const clock = stopClock();
  const database = await createTestDatabase();
  context.onTestFinished(() => database.close());
  await database.sqlAsOwner("create table gate ()");
  const relay = await database.startRelay();
  const target = targetOf(database.url, relay.address);
  const sessions = async (condition: string) => {
    const rows = await database.sql(
      `select from pg_stat_activity where datname = current_database()
       and application_name like 'neon-migrate/%' and ${condition}`,
    );
    return rows.length;
  };
  let heard = "";
  const onProgress = ({ migration, done }: Milestone) => {
    heard = `${migration} ${done}`;
  };
  return {
    ...{ clock, database, relay, target },
    /** The server stands there, and the run has heard of it. */
    atTheGate: () =>
      clock.until(
        async () => heard === "0001_slow 2" && (await sessions("wait_event = 'PgSleep'")) > 0,
      ),
    gone: () => clock.until(async () => (await sessions("true")) === 0),
    /** The function with a minute of time, whose run gives its own answer to nobody. */
    handle: async (): Promise<Report> => {
      const withheld: typeof migrate = (request, dependencies) => {
        void migrate(request, { ...dependencies, target: () => target, onProgress });
        return new Promise(() => undefined);
      };
      const handler = handlerWith({ bundle, run: withheld, logFor: () => silentLog });
      const answer = await handler(EACH, lambdaContext(60_000));
      return expectReport(JSON.parse(JSON.stringify(answer)));
    },
    start: (request: object, dependencies: Partial<Dependencies>) =>
      migrate(parseRequest(request), {
        ...{ bundle, target: () => target, requestId: "request", deadline: Date.now() + HOUR_MS },
        ...{ log: silentLog, onProgress, ...dependencies },
      }),
  };
}

const inTheSecondStatement = {
  migration: slow.tag,
  statement: {
    index: 2,
    line: 3,
    column: 1,
    excerpt: expect.stringMatching(/^do \$\$ begin while/),
  },
};

describe("an answer that somebody else gives for the run", () => {
  test("names migration and statement, and what is applied, when the function's time is over", async (context) => {
    const { clock, database, relay, atTheGate, gone, handle } = await setUp(context);
    const handling = handle();
    await atTheGate();

    // Nobody comes to cancel the statement.
    context.onTestFinished(relay.pauseNewConnections());
    await clock.advance(60_000);
    const report = await handling;

    expect(report).toMatchObject({
      status: "failed",
      database: { host: expect.any(String) },
      executor: "drizzle",
      applied: [{ tag: first.tag }],
      pending: [{ tag: slow.tag }],
      latest: first.tag,
      error: { code: "DEADLINE", retryable: true, ...inTheSecondStatement },
    });
    expect(report.error?.message).toMatch(
      /^The function's time is over and the run did not stop in time\. Its session ends; what was not committed is rolled back\. It happened in migration 0001_slow, statement 2 \(line 3\)\.$/,
    );
    await gone();
    expect(await database.sql("select to_regclass('two')::text as two")).toEqual([{ two: null }]);
  });

  test("names them for an exception that nobody caught, and ends the session", async (context) => {
    const { atTheGate, gone, handle } = await setUp(context);
    const handling = handle();
    await atTheGate();

    process.emit("uncaughtException", new Error("late"));
    const report = await handling;

    expect(report).toMatchObject({
      applied: [{ tag: first.tag }],
      error: { code: "INTERNAL", message: /late/, ...inTheSecondStatement },
    });
    await gone();
  });
});

describe("a run whose time is over", () => {
  test("names the statement that it was about to send", async (context) => {
    const { clock, relay, start } = await setUp(context);
    let begun = false;
    const running = start(EACH, {
      onProgress: () => {
        begun = true;
        relay.silence();
      },
    });
    await clock.until(() => begun);
    await clock.advance(HOUR_MS + 10_000);

    const { error } = await clock.run(running);
    expect(error).toMatchObject({
      code: "DEADLINE",
      migration: first.tag,
      statement: { index: 1, excerpt: "create table one ()" },
    });
    expect(error?.message).toContain("The server did not confirm that");
  });

  test("names the statement in which the connection was lost, while it connects again", async (context) => {
    const { clock, database, relay, atTheGate, start } = await setUp(context);
    const events: string[] = [];
    const running = start(EACH, {
      target: () => targetOf(database.url, relay.address, { connectTimeoutMs: 2 * HOUR_MS }),
      log: (event) => events.push(event),
    });
    await atTheGate();
    context.onTestFinished(relay.pauseNewConnections());
    relay.cutAll();
    await clock.until(() => events.includes("run.again"), 10);
    await clock.advance(HOUR_MS);

    const { applied, error } = await clock.run(running);
    expect(applied.map(({ tag }) => tag)).toEqual([first.tag]);
    expect(error).toMatchObject({ code: "DEADLINE", ...inTheSecondStatement });
    expect(error?.message).toContain(
      "It was connecting. Before, it was in migration 0001_slow, statement 2 (line 3).",
    );
  });

  test("names the run that holds the migration lock, when it waits for that", async (context) => {
    const { clock, database, relay, start } = await setUp(context);
    const holder = await database.hold(`select pg_advisory_lock(${lockKey(DEFAULT_LEDGER)})`);
    context.onTestFinished(() => holder.release());
    let looked = false;
    const onWait = () => {
      looked = true;
    };
    const running = start({ ...EACH, lockTimeoutMs: 2 * HOUR_MS }, { onWait });
    await clock.until(() => looked, 100);
    relay.silence();
    await clock.advance(HOUR_MS + 10_000);

    const { error } = await clock.run(running);
    expect(error).toMatchObject({ code: "DEADLINE", migration: null, statement: null });
    expect(error?.message).toMatch(
      new RegExp(`It was waiting for the migration lock of .*\\(pid ${holder.pid},`),
    );
  });
});

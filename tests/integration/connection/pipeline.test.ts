import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";
import { connect } from "../../../lib/connection/connect.ts";
import type { Connection } from "../../../lib/connection/connection.ts";
import { SendFailure, type Sending } from "../../../lib/connection/pipeline.ts";
import { silentLog } from "../../../lib/log.ts";
import { postgresFacts } from "../../../lib/postgres/errors.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { targetOf } from "../../setup/run.ts";
import { waitFor } from "../../setup/wait-for.ts";

let database: TestDatabase;
let relay: Relay;

beforeAll(async () => {
  database = await createTestDatabase();
  relay = await database.startRelay();
});

afterAll(() => database.close());

beforeEach(async () => {
  await database.sqlAsOwner("drop table if exists entries");
  await database.sqlAsOwner("create table entries (id serial, note text)");
});

async function withConnection<Result>(
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await connect(targetOf(database.url, relay.address), {
    requestId: "pipeline",
    deadline: Number.POSITIVE_INFINITY,
    log: silentLog,
    opening: {},
  });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

const insert = (note: string): Sending => ({
  text: "insert into entries (note) values ($1::text)",
  values: [note],
});
const plain = (text: string): Sending => ({ text });
const lagging = (sending: Sending): Sending => ({ ...sending, mayLag: true });
const ignore = () => undefined;

function inTransaction(series: readonly Sending[]): readonly Sending[] {
  return [plain("begin"), ...series, plain("commit")];
}

/** What `sendAll` threw. */
async function failureOf(series: readonly Sending[]): Promise<SendFailure> {
  return await withConnection(async (connection) => {
    const thrown = await connection.sendAll(series, ignore).catch((error: unknown) => error);
    if (thrown instanceof SendFailure) return thrown;
    throw new Error("The series did not fail.");
  });
}

async function notes(): Promise<readonly unknown[]> {
  const rows = await database.sqlAsOwner("select note from entries order by id");
  return rows.map(({ note }) => note);
}

describe("a series that the server takes", () => {
  test("is executed in its order, with a time for each statement", async () => {
    const names = Array.from({ length: 2_000 }, (_, index) => `note ${index}`);

    const durationsMs = await withConnection((connection) =>
      connection.sendAll(inTransaction(names.map(insert)), ignore),
    );

    expect(await notes()).toEqual(names);
    expect(durationsMs.length).toBe(names.length + 2);
  });

  test("gives each statement its own time and its own notices", async () => {
    const wait = "select pg_advisory_xact_lock(8)";
    const holder = await database.hold(wait);
    const started: number[] = [];
    const series = [
      insert("quick"),
      plain(wait),
      plain("do $$ begin raise notice 'third'; end $$"),
      insert("quick too"),
    ];
    // Time passes only where the test says so.
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());

    const { durationsMs, notices } = await withConnection(async (connection) => {
      const sending = connection.sendAll(series, (index) => {
        started.push(index);
        connection.turnTo({ migration: `statement ${index}`, index });
      });
      sending.catch(ignore);
      await waitFor(() => started.length === 2);
      vi.advanceTimersByTime(200);
      await holder.release();
      return { durationsMs: await sending, notices: connection.notices() };
    });

    expect(started).toEqual([0, 1, 2, 3, 4]);
    expect(durationsMs.slice(0, 4)).toEqual([0, 200, 0, 0]);
    expect(notices).toEqual([{ severity: "NOTICE", message: "third", migration: "statement 2" }]);
  });

  test("may raise notices without end: the first of them are kept", async () => {
    const loop = (times: number, length: number) =>
      plain(
        `do $$ begin for i in 1..${times} loop raise notice '%', repeat('n', ${length}); end loop; end $$`,
      );

    const notices = await withConnection(async (connection) => {
      connection.turnTo({ migration: "0000_loud", index: 0 });
      await connection.sendAll([loop(3, 400_000), loop(2_000, 10)], ignore);
      return connection.notices();
    });

    expect(notices.map(({ message }) => message.length)).toEqual([400_000, 400_000, 200_000]);
  });

  test("is answered by tens of statements where it is long", async () => {
    const wait = "select pg_advisory_xact_lock(7)";
    const holder = await database.hold(wait);
    const series = Array.from({ length: 1_200 }, (_, index) =>
      lagging(plain(index === 605 ? wait : "select 1")),
    );
    let reached = 0;

    await withConnection(async (connection) => {
      const sending = connection.sendAll(series, (index) => {
        reached = index;
      });
      sending.catch(ignore);
      await waitFor(() => reached >= 600);
      const whileWaiting = reached;
      await holder.release();

      expect((await sending).length).toBe(1_200);
      expect(whileWaiting).toBe(600);
    });
  });

  test("may hold rows, empty statements and 40 MB in one piece, behind one that keeps the server busy", async () => {
    const large = "x".repeat(40_000_000);
    const wait = "select pg_advisory_xact_lock(9)";
    const holder = await database.hold(wait);
    const { bytesToServer } = relay.stats();
    const series = inTransaction([
      // A server at work does not read: what follows waits on the way.
      plain(wait),
      plain("select n, repeat('row ', 20) from generate_series(1, 20000) n"),
      plain("-- nothing"),
      plain(`insert into entries (note) values ('${large}')`),
      ...Array.from({ length: 8 }, () => insert("y".repeat(1_000_000))),
    ]);

    await withConnection(async (connection) => {
      const sending = connection.sendAll(series, ignore);
      sending.catch(ignore);
      await waitFor(() => relay.stats().bytesToServer > bytesToServer + 40_000_000);
      await holder.release();
      await sending;
    });

    const [sums] = await database.sqlAsOwner(
      "select count(*)::int as n, sum(length(note))::int as characters from entries",
    );
    expect(sums).toEqual({ n: 9, characters: 48_000_000 });
  });
});

describe("a series with a statement that the server refuses", () => {
  test("names it among 10,000, runs nothing behind it and commits nothing", async () => {
    await database.sqlAsOwner("create sequence if not exists reached");
    const series = Array.from({ length: 10_000 }, (_, index) =>
      lagging(plain(index === 6_789 ? "select 1 / 0" : "select nextval('reached')")),
    );

    const failure = await failureOf(inTransaction([insert("first"), ...series]));

    // A sequence keeps what a rolled back transaction took: it shows how far the server came.
    const [sequence] = await database.sqlAsOwner("select last_value::int from reached");
    expect(failure.index).toBe(6_789 + 2);
    expect(postgresFacts(failure.cause)?.sqlstate).toBe("22012");
    expect(sequence).toEqual({ last_value: 6_789 });
    expect(await notes()).toEqual([]);
  });

  test.each([
    ["the first", 0, ["selec 1", "select 2"], "42601"],
    ["the last", 1, ["select 1", "select 1 / 0"], "22012"],
    ["several statements in one text", 0, ["select 1; select 2"], "42601"],
  ])("names %s", async (_name, index, texts, sqlstate) => {
    const failure = await failureOf(texts.map(plain));

    const code = postgresFacts(failure.cause)?.sqlstate;
    expect([failure.index, failure.exact, code]).toEqual([index, true, sqlstate]);
  });

  test.each([
    ["at the end", 0, ["copy entries from stdin"]],
    ["in the middle", 1, ["select 1", "copy entries from stdin", "select 2"]],
  ])("says that nobody sends data, %s", async (_where, index, texts) => {
    const { cause, ...failure } = await failureOf(texts.map(plain));

    expect(failure).toMatchObject({ index, exact: true });
    expect(cause).toMatchObject({ code: "MIGRATION_FAILED", message: /^COPY … FROM STDIN/ });
  });

  test("leaves the session usable, and the next series on it", async () => {
    const durationsMs = await withConnection(async (connection) => {
      await connection.sendAll([plain("select 1 / 0")], ignore).catch(ignore);
      return await connection.sendAll([insert("afterwards")], ignore);
    });

    expect(durationsMs.length).toBe(1);
    expect(await notes()).toEqual(["afterwards"]);
  });
});

describe("a connection that is cut in the middle of a series", () => {
  test("is told as lost, and nothing of the transaction stays", async () => {
    const series = Array.from({ length: 500 }, (_, index) => insert(`note ${index}`));
    relay.cutAfterBytes({ direction: "toServer", bytes: 20_000 });

    const failure = await failureOf(inTransaction(series));

    expect(failure.cause).toMatchObject({ code: "CONNECTION_LOST" });
    expect(failure.exact).toBe(false);
    expect(await notes()).toEqual([]);
  });

  test("does not claim to know the statement: answers were lost with the connection", async () => {
    const series = Array.from({ length: 2_000 }, (_, index) => lagging(insert(`note ${index}`)));
    relay.cutAfterBytes({ direction: "toClient", bytes: 10_000 });

    const { index, exact } = await failureOf(series);

    expect(index).toBeGreaterThan(100);
    expect(exact).toBe(false);
  });
});

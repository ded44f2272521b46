import type { PoolClient } from "@neondatabase/serverless";
import { beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { checkOut, firstQuery, usePools } from "../setup/pool.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  return () => database.close();
});

const open = usePools(() => database.url);

describe.each(["plain", "neon"] as const)("a relay in %s mode", (mode) => {
  test("carries a login with the first query in one frame", async () => {
    const relay = await database.startRelay({ mode });

    const rows = await firstQuery(open(relay.address));

    expect(rows).toEqual([{ one: 1 }]);
    expect(relay.stats()).toMatchObject({ connections: 1, roundTrips: 1 });
  });

  test("carries a login that waits to be asked", async () => {
    const relay = await database.startRelay({ mode });

    const rows = await firstQuery(open(relay.address, { pipelined: false }));

    expect(rows).toEqual([{ one: 1 }]);
    expect(relay.stats().roundTrips).toBe(3);
  });

  test("carries statements and rows of 20 MB unchanged", async () => {
    const relay = await database.startRelay({ mode });
    const text = "ß".repeat(10_000_000);

    const result = await open(relay.address).query("select $1::text as text", [text]);

    expect(result.rows[0].text === text).toBe(true);
    expect(relay.stats().bytesToServer).toBeGreaterThan(20_000_000);
    expect(relay.stats().bytesToClient).toBeGreaterThan(20_000_000);
  });

  test("counts one round trip per exchange, however many statements it carries", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");
    relay.resetStats();

    await client.query("select 1; select 2; select 3");
    await client.query("select $1::int", [4]);
    client.release();

    expect(relay.stats().roundTrips).toBe(2);
  });

  test("holds answers back until everything is answered", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");
    const other = await checkOut(open(relay.address));
    const holder = await database.hold("select pg_advisory_xact_lock(1)");
    relay.holdAnswers();
    let received = 0;
    client.on("notice", () => {
      received += 1;
    });

    // A notice is sent as soon as it is raised.
    const query = client.query(
      "do $$ begin raise notice 'now'; perform pg_advisory_xact_lock(1); end $$",
    );
    query.catch(() => undefined);
    await untilItWaits();
    // Whatever was sent before this has arrived with its answer.
    await other.query("select 1");
    const early = received;
    await holder.release();
    await query;
    client.release();
    other.release();

    expect([early, received]).toEqual([0, 1]);
  });

  test("adds latency without limiting what is under way", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");
    relay.setRoundTripMs(100);

    const started = performance.now();
    await client.query("select 1");
    const elapsedMs = performance.now() - started;
    const holder = await database.hold("select pg_advisory_xact_lock(1)");
    const query = client.query("select pg_advisory_xact_lock(1), repeat('x', 5000000)");
    const outcome = expect(query).rejects.toThrow("Connection terminated unexpectedly");
    await untilItWaits();
    relay.resetStats();
    relay.setRoundTripMs(7_200_000);
    await holder.release();

    // At most 64 KB are read at a time, and nothing arrives within the hour.
    await waitFor(() => relay.underWay() > 5_000_000 / 65_536);
    const arrived = relay.stats().bytesToClient;
    relay.cutAll();
    await outcome;
    client.release(true);

    expect(elapsedMs).toBeGreaterThan(95);
    expect(arrived).toBe(0);
  });

  test("breaks open connections on command, for the server too", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    const query = client.query("select pg_sleep(3600)");
    const outcome = expect(query).rejects.toThrow("Connection terminated unexpectedly");
    await waitFor(async () => (await sessions("active")).length === 1);

    relay.cutAll();

    await outcome;
    client.release(true);
    await database.sql(
      "select pg_cancel_backend(pid) from pg_stat_activity where usename = $1 and state = 'active'",
      [database.owner.name],
    );
    await waitFor(async () => (await sessions()).length === 0);
  });

  test("breaks the next connection after a number of bytes towards the client", async () => {
    const relay = await database.startRelay({ mode });
    relay.cutAfterBytes({ direction: "toClient", bytes: 5_000 });
    const pool = open(relay.address);

    const first = await firstQuery(pool, "select repeat('x', 10000)");
    const second = await firstQuery(pool);

    expect(first).toMatchObject({ message: "Connection terminated unexpectedly" });
    expect(relay.stats().perConnection[0]?.bytesToClient).toBe(5_000);
    expect(second).toEqual([{ one: 1 }]);
  });

  test("delivers what was sent before a cut towards the server", async () => {
    const relay = await database.startRelay({ mode });
    const probe = await checkOut(open(relay.address));
    await probe.query("select 1");
    await probe.query("create table written (id int)");
    const bytes = relay.stats().bytesToServer;
    probe.release(true);
    await database.sql("drop table written");
    relay.cutAfterBytes({ direction: "toServer", bytes });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");

    const query = client.query("create table written (id int)");

    await expect(query).rejects.toThrow("Connection terminated unexpectedly");
    client.release(true);
    await waitFor(async () => {
      const [row] = await database.sql("select to_regclass('written') is not null as there");
      return row?.there === true;
    });
  });

  test("forwards nothing while it is silent, and closes nothing", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");
    relay.silence();
    const { bytesToServer } = relay.stats();
    let outcome = "nothing";
    const query = client.query("create table never (id int)");
    query.then(
      () => {
        outcome = "answered";
      },
      () => {
        outcome = "broken";
      },
    );

    await waitFor(() => relay.stats().bytesToServer > bytesToServer);
    await turns(20, () => database.sql("select 1"));
    const seen = [outcome, await sessions()];
    const [row] = await database.sql("select to_regclass('never') as never");
    relay.cutAll();
    client.release(true);

    expect(seen).toMatchObject(["nothing", [{}]]);
    expect(row).toEqual({ never: null });
  });

  test("refuses upgrades with an HTTP status", async () => {
    const relay = await database.startRelay({ mode });
    relay.refuse(503);

    const connecting = open(relay.address).connect();

    await expect(connecting).rejects.toMatchObject({ message: "Unexpected server response: 503" });
  });

  test("leaves new connections waiting until it is told to go on", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    await client.query("select 1");
    const proceed = relay.pauseNewConnections();
    let early = "waiting";
    const query = firstQuery(open(relay.address)).finally(() => {
      early = "answered";
    });
    query.catch(() => undefined);

    await turns(20, () => client.query("select 1"));
    const seen = [early, relay.stats().connections];
    proceed();
    client.release();

    expect(seen).toEqual(["waiting", 1]);
    expect(await query).toEqual([{ one: 1 }]);
  });

  test("passes a cancel request on", async () => {
    const relay = await database.startRelay({ mode });
    const client = await checkOut(open(relay.address));
    const query = client.query("select pg_sleep(3600)");
    const outcome = expect(query).rejects.toMatchObject({ code: "57014" });
    await waitFor(async () => (await sessions("active")).length === 1);

    await sendCancel(relay.address, client);

    await outcome;
    client.release();
  });

  test("ends the WebSocket with code 1000 when the server ends the session", async () => {
    const relay = await database.startRelay({ mode });
    const socket = new WebSocket(`ws://${relay.address}`);
    const code = new Promise<number>((resolve) => socket.on("close", resolve));
    await new Promise((resolve) => socket.on("open", resolve));

    // A cancel request for nobody: the server closes without a word.
    socket.send(Buffer.from("0000001004d2162e0000000000000000", "hex"));

    expect(await code).toBe(1000);
  });
});

function sessions(state?: string): Promise<readonly unknown[]> {
  return database.sql(
    "select pid from pg_stat_activity where usename = $1 and state = coalesce($2, state)",
    [database.owner.name, state ?? null],
  );
}

/** Waits until the server has come to a lock that a test holds. */
async function untilItWaits(): Promise<void> {
  await waitFor(async () => {
    const waiting = await database.sql(
      "select from pg_stat_activity where usename = $1 and wait_event = 'advisory'",
      [database.owner.name],
    );
    return waiting.length === 1;
  });
}

/** Takes an answer so many times, one after the other: what is not held back comes meanwhile. */
async function turns(count: number, ask: () => Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await ask();
}

async function sendCancel(relay: string, client: PoolClient): Promise<void> {
  const socket = new WebSocket(`ws://${relay}`);
  await new Promise((resolve) => socket.on("open", resolve));
  const key = [Reflect.get(client, "processID"), Reflect.get(client, "secretKey")];
  const numbers = [16, 80_877_102, ...key].map((each) => int32(Number(each)));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.send(Buffer.concat(numbers));
  await closed;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

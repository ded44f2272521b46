import { createServer, type Socket } from "node:net";
import { beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { startRelay } from "../../local/relay.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { firstQuery, usePools } from "../setup/pool.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  return () => database.close();
});

const open = usePools(() => database.url);

describe("a relay in plain mode", () => {
  test("reads from the server no faster than the client does", async () => {
    const target = await listen((socket) => socket.write(Buffer.alloc(100_000_000)));
    const relay = await startRelay({ target: target.address });
    const socket = new WebSocket(`ws://${relay.address}`);
    let received = 0;
    socket.on("message", (bytes: Buffer) => {
      received += bytes.length;
    });
    await new Promise((resolve) => socket.on("open", resolve));
    socket.pause();

    const passed = await settled(() => relay.stats().bytesToClient);
    socket.resume();
    await waitFor(() => received === 100_000_000);
    await relay.stop();
    await target.close();

    expect(passed).toBeLessThan(30_000_000);
  });

  test("reads from the client no faster than the server does", async () => {
    let received = 0;
    const accepted: Socket[] = [];
    const target = await listen((socket) => {
      socket.on("data", (bytes) => {
        received += bytes.length;
      });
      socket.pause();
      accepted.push(socket);
    });
    const relay = await startRelay({ target: target.address });
    const socket = new WebSocket(`ws://${relay.address}`);
    await new Promise((resolve) => socket.on("open", resolve));
    for (let sent = 0; sent < 100; sent += 1) socket.send(Buffer.alloc(1_000_000));

    const passed = await settled(() => relay.stats().bytesToServer);
    for (const each of accepted) each.resume();
    await waitFor(() => received === 100_000_000);
    await relay.stop();
    await target.close();

    expect(passed).toBeLessThan(30_000_000);
  });

  test("connects to named addresses only if they are allowed", async () => {
    const relay = await database.startRelay();
    const { host } = new URL(database.url);

    expect(await firstQuery(open(`${relay.address}?address=${host}`))).toEqual([{ one: 1 }]);
    await expect(open(`${relay.address}?address=127.0.0.1:1`).connect()).rejects.toMatchObject({
      message: "Unexpected server response: 400",
    });
  });

  test("looks like an open connection that breaks when the server cannot be reached", async () => {
    const relay = await startRelay({ target: { host: "127.0.0.1", port: 1 } });

    const outcome = await firstQuery(open(relay.address));
    await relay.stop();

    expect(outcome).toMatchObject({ message: "Connection terminated unexpectedly" });
  });

  test("hands on PostgreSQL's own words and SQLSTATE", async () => {
    const relay = await database.startRelay();
    const url = database.urlOf({ ...database.owner, password: "wrong" });

    const outcome = await firstQuery(open(relay.address, { url }));

    expect(outcome).toMatchObject({
      code: "28P01",
      message: `password authentication failed for user "${database.owner.name}"`,
    });
  });

  test("refuses a password that is sent ahead to a server that asks for SCRAM", async () => {
    const relay = await database.startRelay();
    const url = database.urlOf(await database.createRole("scram", { scram: true }));

    const outcome = await firstQuery(open(relay.address, { url }));

    expect(outcome).toMatchObject({ code: "08P01" });
  });
});

/** A TCP server that is no PostgreSQL. */
async function listen(serve: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const close = () => new Promise((resolve) => server.close(resolve));
  return { address: { host: "127.0.0.1", port }, close };
}

/** What a counter stands at once it has started and moves no more. */
async function settled(read: () => number): Promise<number> {
  let last = 0;
  let still = 0;
  await waitFor(() => {
    still = read() === last && last > 0 ? still + 1 : 0;
    last = read();
    return still === 10;
  });
  return last;
}

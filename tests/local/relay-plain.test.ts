import { createServer, type Socket } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
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
    const target = await listen((socket) => socket.write(Buffer.alloc(60_000_000)));
    const relay = await relayTo(target);
    const slow = await openSocket(relay);
    slow.socket.pause();

    // All are served in turn: meanwhile as much could have passed to the first one.
    for (let others = 0; others < 3; others += 1) {
      const quick = await openSocket(relay);
      await waitFor(() => quick.received() === 60_000_000);
    }
    const passed = relay.stats().perConnection[0]?.bytesToClient;
    slow.socket.resume();
    await waitFor(() => slow.received() === 60_000_000);

    expect(passed).toBeLessThan(30_000_000);
  });

  test("reads from the client no faster than the server does", async () => {
    const accepted: Socket[] = [];
    const received: number[] = [];
    const target = await listen((socket) => {
      const index = accepted.push(socket) - 1;
      socket.on("data", (bytes) => {
        received[index] = (received[index] ?? 0) + bytes.length;
      });
      if (index === 0) socket.pause();
    });
    const relay = await relayTo(target);
    const slow = await openSocket(relay);
    await waitFor(() => accepted.length === 1);
    const quick = await openSocket(relay);
    for (let sent = 0; sent < 60; sent += 1) {
      for (const { socket } of [slow, quick]) socket.send(Buffer.alloc(1_000_000));
    }

    // Both are served in turn: meanwhile as much could have passed from the first one.
    await waitFor(() => received[1] === 60_000_000);
    const passed = relay.stats().perConnection[0]?.bytesToServer;
    accepted[0]?.resume();
    await waitFor(() => received[0] === 60_000_000);

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
    const relay = await relayTo({ address: { host: "127.0.0.1", port: 1 } });

    const outcome = await firstQuery(open(relay.address));

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

/** Where a server listens. */
interface Listener {
  readonly address: { readonly host: string; readonly port: number };
}

/** A TCP server that is no PostgreSQL; it goes when the test ends. */
async function listen(serve: (socket: Socket) => void): Promise<Listener> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return { address: { host: "127.0.0.1", port } };
}

/** A relay to any server; it goes when the test ends. */
async function relayTo({ address }: Listener): Promise<Relay> {
  const relay = await startRelay({ target: address });
  onTestFinished(() => relay.stop());
  return relay;
}

/** A WebSocket to a relay, that counts the bytes which come. */
async function openSocket(relay: Relay) {
  const socket = new WebSocket(`ws://${relay.address}`);
  socket.on("error", () => undefined);
  let received = 0;
  socket.on("message", (bytes: Buffer) => {
    received += bytes.length;
  });
  await new Promise((resolve) => socket.on("open", resolve));
  return { socket, received: () => received };
}

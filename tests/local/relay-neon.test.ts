import { createServer } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { startRelay } from "../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { checkOut, firstQuery, usePools } from "../setup/pool.ts";
import { waitFor } from "../setup/wait-for.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  return () => database.close();
});

const open = usePools(() => database.url);

describe("a relay in neon mode", () => {
  test("drops startup parameters that Neon's proxy drops", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const settings = { lock_timeout: 1_234, application_name: "kept" };
    const query =
      "select current_setting('lock_timeout') as lock_timeout, current_setting('application_name') as application_name";

    const rows = await firstQuery(open(relay.address, { settings }), query);
    const plain = await database.startRelay();
    const plainRows = await firstQuery(open(plain.address, { settings }), query);

    expect(rows).toEqual([{ lock_timeout: "0", application_name: "kept" }]);
    expect(plainRows).toEqual([{ lock_timeout: "1234ms", application_name: "kept" }]);
  });

  test("makes up the process id that the client sees", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const client = await checkOut(open(relay.address));

    const { rows } = await client.query("select pg_backend_pid() as pid");
    client.release();

    expect(rows[0].pid).not.toBe(Reflect.get(client, "processID"));
  });

  test("asks for a cleartext password whatever the server asks for", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const role = await database.createRole("scram", { scram: true });
    const url = database.urlOf(role);
    const wrong = database.urlOf({ ...role, password: "wrong" });

    expect(await firstQuery(open(relay.address, { url }))).toEqual([{ one: 1 }]);
    expect(await firstQuery(open(relay.address, { url: wrong }))).toMatchObject({
      message: `password authentication failed for user '${role.name}'`,
    });
  });

  test.each([
    ["a wrong password", { password: "wrong" }, /^password authentication failed for user '.*'$/],
    ["an unknown role", { name: "nobody" }, /^password authentication failed for user 'nobody'$/],
  ])(
    "reports %s in Neon's words and without a telling SQLSTATE",
    async (_what, change, message) => {
      const relay = await database.startRelay({ mode: "neon" });
      const url = database.urlOf({ ...database.owner, ...change });

      const outcome = await firstQuery(open(relay.address, { url }));

      expect(outcome).toMatchObject({
        code: "XX000",
        severity: "ERROR",
        message: expect.stringMatching(message),
      });
    },
  );

  test("reports a missing database without a telling SQLSTATE", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const url = database.url.replace(/[^/]+$/, "missing");

    const outcome = await firstQuery(open(relay.address, { url }));

    expect(outcome).toMatchObject({ code: "XX000", message: 'database "missing" does not exist' });
  });

  test("fails logins with the message that it was given", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    relay.failLogins("Control plane request failed: endpoint is disabled");
    const failed = await firstQuery(open(relay.address));
    relay.failLogins({ text: "Something else", code: "53000" });
    const coded = await firstQuery(open(relay.address));
    relay.failLogins(null);
    const passed = await firstQuery(open(relay.address));

    expect(failed).toMatchObject({
      code: "XX000",
      message: "Control plane request failed: endpoint is disabled",
    });
    expect(coded).toMatchObject({ code: "53000", message: "Something else" });
    expect(passed).toEqual([{ one: 1 }]);
  });

  test("holds the login back while the compute wakes", async () => {
    const relay = await database.startRelay({ mode: "neon", wakeUpMs: 300 });

    const started = performance.now();
    await firstQuery(open(relay.address));

    expect(performance.now() - started).toBeGreaterThan(295);
  });

  test("says that the compute cannot be reached", async () => {
    const relay = await startRelay({ target: { host: "127.0.0.1", port: 1 }, mode: "neon" });
    onTestFinished(() => relay.stop());

    const outcome = await firstQuery(open(relay.address));

    expect(outcome).toMatchObject({ message: "Couldn't connect to compute node" });
  });

  test("says that the compute hung up during the login", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const relay = await startRelay({ target: { host: "127.0.0.1", port }, mode: "neon" });
    onTestFinished(() => relay.stop());

    const outcome = await firstQuery(open(relay.address));

    expect(outcome).toMatchObject({
      message: "error communicating with the server: early eof",
    });
  });

  test("tells open sessions why they end, in the words of a proxy", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const client = await checkOut(open(relay.address));
    const errors: unknown[] = [];
    client.on("error", (error) => errors.push(error));
    const asking = client.query("select pg_sleep(600)");
    asking.catch(() => undefined);
    await waitFor(async () => {
      const rows = await database.sql(
        "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
      );
      return rows.length === 1;
    });

    relay.endAll({ text: "server conn crashed?", code: "08P01" });

    await expect(asking).rejects.toMatchObject({
      ...{ code: "08P01", severity: "ERROR", message: "server conn crashed?", file: undefined },
    });
    await waitFor(() => errors.length > 0);
  });

  test("reads a login that arrives byte by byte", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const socket = new WebSocket(`ws://${relay.address}`);
    const received: Buffer[] = [];
    socket.on("message", (bytes) => received.push(Buffer.from(bytes.toString("latin1"), "latin1")));
    await new Promise((resolve) => socket.on("open", resolve));
    const startup = Buffer.from(`user\0${database.owner.name}\0database\0${database.name}\0\0`);
    const password = Buffer.from(`${database.owner.password}\0`);
    const query = Buffer.from("select 'here it is'\0");
    const frame = Buffer.concat([
      int32(startup.length + 8),
      int32(196_608),
      startup,
      Buffer.from("p"),
      int32(password.length + 4),
      password,
      Buffer.from("Q"),
      int32(query.length + 4),
      query,
    ]);

    for (const byte of frame) socket.send(Buffer.from([byte]));

    await waitFor(() => Buffer.concat(received).includes("here it is"));
    socket.close();
  });

  test("accepts no text frames", async () => {
    const relay = await database.startRelay({ mode: "neon" });
    const socket = new WebSocket(`ws://${relay.address}`);
    const code = new Promise<number>((resolve) => socket.on("close", resolve));
    await new Promise((resolve) => socket.on("open", resolve));

    socket.send("text");

    expect(await code).toBe(1003);
  });
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

import { once } from "node:events";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { connect } from "../../../lib/connection/connect.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { parseRequest } from "../../../lib/request.ts";
import { stopClock } from "../../setup/clock.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { targetOf } from "../../setup/run.ts";

const URL = "postgres://user:password@host/database";
const LONG_MS = 600_000;

/** A message of PostgreSQL: a letter, its length, and its content. */
function message(letter: string, content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(letter), length, content]);
}

const REFUSAL = message("E", Buffer.from("SFATAL\0VFATAL\0C08P01\0Mno password was asked for\0\0"));

/** A server that answers the first bytes of each connection as a test says. */
async function serve(answer: (socket: WebSocket, connection: number) => void) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, "listening");
  let connections = 0;
  server.on("connection", (socket) => {
    connections += 1;
    const connection = connections;
    socket.once("message", () => answer(socket, connection));
  });
  const relay = `127.0.0.1:${Object(server.address()).port}/v1`;
  return { relay, connections: () => connections };
}

test.for<[string, Buffer]>([
  ["an authentication that nobody knows", message("R", Buffer.from([0, 0, 0, 99]))],
  ["a row that nobody asked for", message("D", Buffer.from([0, 0]))],
  ["a row that ends in its middle", message("D", Buffer.from([0, 3, 0, 0, 0, 9, 1]))],
  ["the columns of no query", message("T", Buffer.from([0, 0]))],
  ["the end of no query", message("C", Buffer.from("SELECT 1\0"))],
  ["an error without an end", message("E", Buffer.from("SFATAL\0MC"))],
  ["an error without words", message("E", Buffer.from("\0"))],
  ["an error of one letter", message("E", Buffer.from("M"))],
  ["an error of no byte", message("E", Buffer.alloc(0))],
  ["a notice without an end", message("N", Buffer.from("SNOTICE\0"))],
  ["a length of nothing", Buffer.from([0x52, 0, 0, 0, 0])],
  ["a length below zero", Buffer.from([0x52, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  ["a length beyond all bounds", Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  ["a letter that nobody knows", message("~", Buffer.from("what"))],
  ["HTTP", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["no bytes", Buffer.alloc(0)],
  ["ready before the login", message("Z", Buffer.from("I"))],
  ["copied data", message("d", Buffer.from("1\t2"))],
  ["a wish for data", message("G", Buffer.from([0, 0, 0]))],
  ["a notification without an end", message("A", Buffer.from([0, 0]))],
])(
  "a message that the driver cannot read is answered with a report: %s",
  async ([_what, bytes]) => {
    const { relay } = await serve((socket) => socket.send(bytes));
    const clock = stopClock();

    const running = migrate(parseRequest({ timeoutMs: 1_000 }), {
      ...{ bundle: makeBundle(makeMigration("0000_a", 1_000, "select 1")), requestId: "test" },
      ...{ deadline: null, log: silentLog, target: () => targetOf(URL, relay) },
    });

    const report = await clock.run(running);
    expect(report.status).toBe("failed");
    expect(report.error?.code).not.toBe("INTERNAL");
  },
);

test("two ways to log in share the time to connect", async () => {
  let refuse = (): void => undefined;
  const { relay, connections } = await serve((socket, connection) => {
    if (connection === 1) refuse = () => socket.send(REFUSAL);
  });
  const clock = stopClock();
  const target = targetOf(URL, relay, { connectTimeoutMs: LONG_MS });
  const options = { requestId: "test", deadline: Date.now() + 2 * LONG_MS, opening: {} };
  const connecting = connect(target, { ...options, log: silentLog }).catch((thrown) => thrown);
  let code: unknown = null;
  void connecting.then((thrown) => {
    code = Reflect.get(Object(thrown), "code");
  });

  await clock.until(() => connections() === 1);
  await clock.advance(LONG_MS - 1_000);
  await clock.until(() => {
    refuse();
    return connections() === 2;
  });
  expect(code).toBeNull();
  await clock.advance(1_000);
  await clock.until(() => code !== null);

  expect(code).toBe("CONNECT_TIMEOUT");
});

test("an unreachable host takes no more than the time of the run, whatever ways to log in there are", async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const relay = `127.0.0.1:${Object(server.address()).port}/v1`;
  const clock = stopClock();
  const started = Date.now();

  const report = await clock.run(
    migrate(parseRequest({ timeoutMs: 7_000 }), {
      ...{ bundle: makeBundle(makeMigration("0000_a", 1_000, "select 1")), requestId: "test" },
      ...{ deadline: null, log: silentLog, target: () => targetOf(URL, relay) },
    }),
  );

  expect(report.error?.code).toBe("DEADLINE");
  // The clock stands still but for its steps: this is no time of the machine.
  expect(Date.now() - started).toBeLessThanOrEqual(7_100);
});

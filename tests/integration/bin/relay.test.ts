import { once } from "node:events";
import { connect } from "node:net";
import { expect, inject, onTestFinished, test } from "vitest";
import { startRelay } from "../../../bin/relay.ts";

test.each([
  ["has sent nothing", ""],
  ["has sent half a request", "GET /v1 HTTP/1.1\r\nHost: relay\r\n"],
])("a relay of the command line stops beside a connection that %s", async (_title, sent) => {
  const server = new URL(inject("postgresUrl"));
  const relay = await startRelay({ host: server.hostname, port: Number(server.port) });
  const port = Number(/:(\d+)\//.exec(relay.address)?.[1]);
  const socket = connect({ host: "127.0.0.1", port });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(sent);
  const closed = new Promise((resolve) => socket.once("close", resolve));

  await relay.stop();
  await closed;

  const again = connect({ host: "127.0.0.1", port });
  const [refusal] = await once(again, "error");
  expect(refusal.code).toBe("ECONNREFUSED");
});

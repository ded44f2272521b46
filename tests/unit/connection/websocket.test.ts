import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { createWire } from "../../../lib/connection/websocket.ts";

test("a message that is small does not wait for a large one behind it", async () => {
  const server = new WebSocketServer({ port: 0 });
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const frames: number[] = [];
  server.on("connection", (socket) => {
    socket.on("message", (data: Buffer) => frames.push(data.byteLength));
  });
  const { Socket } = createWire(() => undefined);
  const socket = new Socket(`ws://127.0.0.1:${Object(server.address()).port}`);
  await once(socket, "open");

  for (const size of [10, 20, 1_000_000, 30, 40]) socket.send(new Uint8Array(size));
  socket.close();
  await once(socket, "close");

  expect(frames).toEqual([30, 1_000_000, 70]);
});

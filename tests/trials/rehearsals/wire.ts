import { createServer, type Socket } from "node:net";
import { type Address, dial } from "../../../local/relay/pipe.ts";
import type { Direction } from "../faults/tap.ts";

/** A way over TCP to a server on this machine, which breaks on request. */
export interface Wire {
  readonly port: number;
  /** Bytes so far of each direction, over all connections since the last `reset`. */
  readonly passed: Readonly<Record<Direction, number>>;
  /** Sets the bytes to zero, and forgets what was to be cut. */
  reset(): void;
  /** Breaks the connection in which so many bytes of a direction have passed. The others go on. */
  cutAfter(direction: Direction, bytes: number): void;
  /** Connections that were broken since the last `reset`. */
  readonly cuts: number;
  stop(): Promise<void>;
}

/** Opens the way. It listens on loopback only. */
export async function openWire(server: Address): Promise<Wire> {
  const passed = { toServer: 0, toClient: 0 };
  const open = new Set<Socket>();
  let cut: { readonly direction: Direction; readonly bytes: number } | null = null;
  let cuts = 0;
  const listener = createServer((client) => {
    const upstream = dial(server);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    const carry = (from: Socket, to: Socket, direction: Direction) => {
      open.add(from);
      from.on("error", end).on("close", () => {
        open.delete(from);
        end();
      });
      from.on("data", (bytes) => {
        const before = passed[direction];
        passed[direction] += bytes.length;
        if (cut === null || cut.direction !== direction || passed[direction] < cut.bytes) {
          to.write(bytes);
          return;
        }
        const left = bytes.subarray(0, Math.max(cut.bytes - before, 0));
        cut = null;
        cuts += 1;
        // The bytes before the cut still arrive.
        to.write(left, end);
      });
    };
    carry(client, upstream, "toServer");
    carry(upstream, client, "toClient");
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const bound = listener.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    passed,
    get cuts() {
      return cuts;
    },
    reset: () => {
      Object.assign(passed, { toServer: 0, toClient: 0 });
      cut = null;
      cuts = 0;
    },
    cutAfter: (direction, bytes) => {
      cut = { direction, bytes };
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

import { createServer, type Socket } from "node:net";
import { type Address, dial } from "../../../local/relay/pipe.ts";

export type Direction = "toServer" | "toClient";

/** A stretch of one direction of a connection, in bytes from its beginning. */
export interface Stretch {
  readonly direction: Direction;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** What passed on the busiest connection, both ways: the one of the run, where another was begun and given up. */
export interface Recording {
  readonly toServer: Buffer;
  readonly toClient: Buffer;
}

/** A way to the server that keeps what passes. */
export interface Tap {
  readonly address: Address;
  recording(): Recording;
  stop(): Promise<void>;
}

/** Listens on loopback and passes every byte on. */
export async function startTap(server: Address): Promise<Tap> {
  const kept: Record<Direction, Buffer[]>[] = [];
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const mine: Record<Direction, Buffer[]> = { toServer: [], toClient: [] };
    kept.push(mine);
    const upstream = dial(server);
    client.on("data", (bytes) => mine.toServer.push(bytes));
    upstream.on("data", (bytes) => mine.toClient.push(bytes));
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => undefined);
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const bound = listener.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: { host: "127.0.0.1", port },
    recording: () => {
      const recordings = kept.map(({ toServer, toClient }) => ({
        toServer: Buffer.concat(toServer),
        toClient: Buffer.concat(toClient),
      }));
      const [busiest] = recordings.sort((a, b) => b.toServer.length - a.toServer.length);
      if (busiest === undefined) throw new Error("Nobody came by the tap.");
      return busiest;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

interface Framed {
  readonly type: string;
  readonly from: number;
  readonly to: number;
  readonly body: Buffer;
}

/** Cuts a direction into messages. The first one of a client has no letter. */
function messagesOf(bytes: Buffer, direction: Direction): readonly Framed[] {
  const messages: Framed[] = [];
  let at = direction === "toServer" ? bytes.readInt32BE(0) : 0;
  while (at + 5 <= bytes.length) {
    const to = at + 1 + bytes.readInt32BE(at + 1);
    const type = bytes.toString("latin1", at, at + 1);
    messages.push({ type, from: at, to, body: bytes.subarray(at + 5, to) });
    at = to;
  }
  return messages;
}

const SENT = { Q: /^commit\0$/i, P: /^\0commit\0/i };
/** What belongs to a Parse: Bind, Describe, Execute, Flush, and the Sync at the end of a pipeline. */
const OF_PARSE = "BDEHS";
/** What belongs to a COMMIT's answer: CommandComplete, and ReadyForQuery behind it. */
const ANSWERED = /^COMMIT\0$/;

/** Where a recording has a COMMIT: all that asks for it, and all that answers. */
export function findCommits({ toServer, toClient }: Recording): readonly Stretch[] {
  const sent = stretches(
    messagesOf(toServer, "toServer"),
    ({ type, body }) => (type === "Q" || type === "P") && SENT[type].test(body.toString("latin1")),
    OF_PARSE,
  );
  const answered = stretches(
    messagesOf(toClient, "toClient"),
    ({ type, body }) => type === "C" && ANSWERED.test(body.toString("latin1")),
    "Z",
  );
  return [
    ...sent.map((stretch) => ({ direction: "toServer" as const, ...stretch })),
    ...answered.map((stretch) => ({ direction: "toClient" as const, ...stretch })),
  ];
}

function stretches(
  messages: readonly Framed[],
  begins: (message: Framed) => boolean,
  followers: string,
): readonly { readonly from: number; readonly to: number }[] {
  return messages.flatMap((message, index) => {
    if (!begins(message)) return [];
    const behind = messages.slice(index + 1);
    const end = behind.findIndex(({ type }) => !followers.includes(type));
    const last = (end === -1 ? behind : behind.slice(0, end)).at(-1);
    return [{ from: message.from, to: (last ?? message).to }];
  });
}

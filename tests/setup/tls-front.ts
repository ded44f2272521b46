import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { DelayLine } from "../../local/relay-line.ts";

/** A way to a relay as in production: TCP with a travel time, then TLS. */
export interface TlsFront {
  readonly port: number;
  /** Who had the word on the connection, in turn: `c` for the client, `s` for what it was answered. */
  readonly turns: string;
  /** When the client was last answered, as `performance.now` counts. */
  readonly answeredAt: number;
  stop(): Promise<void>;
}

/** What stands in front of which relay. */
export interface TlsFrontOptions {
  readonly relayPort: number;
  readonly roundTripMs: number;
  /** After so many answers the client is not heard any more, not even that it hangs up. Default: it always is. */
  readonly deafAfter?: number;
}

/** Starts one. It counts bytes on the TCP connection, of which TLS is a part. */
export async function startTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const terminator = createTlsServer({ key, cert: certificate(privateKey, publicKey) }, (socket) =>
    join(socket, connect(options.relayPort, "127.0.0.1")),
  );
  const tlsPort = await listen(terminator);
  const { deafAfter = Number.POSITIVE_INFINITY, roundTripMs } = options;
  let turns = "";
  let answeredAt = 0;
  const note = (who: "c" | "s") => {
    if (!turns.endsWith(who)) turns += who;
  };
  const front = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect(tlsPort, "127.0.0.1");
    const [there, back] = [
      new DelayLine(() => roundTripMs / 2),
      new DelayLine(() => roundTripMs / 2),
    ];
    const deaf = () => turns.replaceAll("c", "").length >= deafAfter;
    client.on("data", (bytes) => {
      note("c");
      if (!deaf()) there.push(() => server.write(bytes));
    });
    server.on("data", (bytes) =>
      back.push(() => {
        note("s");
        answeredAt = performance.now();
        client.write(bytes);
      }),
    );
    client.on("end", () => {
      if (!deaf()) there.push(() => server.end());
    });
    server.on("close", () => back.push(() => client.destroy()));
    for (const socket of [client, server]) socket.on("error", () => undefined);
  });
  const port = await listen(front);
  return {
    port,
    get turns() {
      return turns;
    },
    get answeredAt() {
      return answeredAt;
    },
    stop: async () => {
      await Promise.all([front, terminator].map(close));
    },
  };
}

function join(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const socket of [one, other]) {
    socket.on("error", () => undefined);
    socket.on("close", () => [one, other].map((each) => each.destroy()));
  }
}

const open = new WeakMap<Server, Set<Socket>>();

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  open.set(server, sockets);
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on TCP has such an address.
  return (server.address() as AddressInfo).port;
}

function close(server: Server): Promise<void> {
  for (const socket of open.get(server) ?? []) socket.destroy();
  return new Promise((resolve) => server.close(() => resolve()));
}

const ED25519 = der(0x30, der(0x06, Buffer.from([0x2b, 0x65, 0x70])));
const NOBODY = der(0x30);

/** A certificate for nobody in particular, signed by its own key (RFC 5280, section 4.1). */
function certificate(privateKey: KeyObject, publicKey: KeyObject): string {
  const validity = der(0x30, time("000101000000Z"), time("491231235959Z"));
  const serial = der(0x02, Buffer.from([1]));
  const content = der(
    0x30,
    serial,
    ED25519,
    NOBODY,
    validity,
    NOBODY,
    publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = der(0x03, Buffer.from([0]), sign(null, content, privateKey));
  const whole = der(0x30, content, ED25519, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${whole}\n-----END CERTIFICATE-----\n`;
}

const time = (text: string): Buffer => der(0x17, Buffer.from(text));

/** One value in DER, of at most 255 bytes. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

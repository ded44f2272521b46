import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/**
 * A way to a relay as in production: TCP, then TLS. The client lives in the same process. An answer arrives once the
 * client has sent everything that it sends without that answer.
 */
export interface TlsFront {
  readonly port: number;
  /** The speakers on the connection, in turn: `c` for the client, `s` for the server. */
  readonly turns: string;
  /** Whether each connection went on with an earlier TLS session, in their order. */
  readonly resumed: readonly boolean[];
  /** The bytes that have come from the server, those of TLS included. */
  readonly bytesToClient: number;
  /** Forgets the keys of its sessions, as a server does that was started anew. */
  forget(): void;
  stop(): Promise<void>;
}

/** The settings of the front. */
export interface TlsFrontOptions {
  readonly relayPort: number;
  /** The number of answers after which the client is not heard any more, even when it hangs up. Default: no limit. */
  readonly deafAfter?: number;
}

/** Starts the front. It watches the bytes of the TCP connection, those of TLS included. */
export async function startTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const resumed: boolean[] = [];
  const terminator = createTlsServer(
    { key, cert: certificate(privateKey, publicKey) },
    (socket) => {
      resumed.push(socket.isSessionReused());
      join(socket, connect(options.relayPort, "127.0.0.1"));
    },
  );
  const tlsPort = await listen(terminator);
  const { deafAfter = Number.POSITIVE_INFINITY } = options;
  let turns = "";
  let bytesToClient = 0;
  const note = (who: "c" | "s") => {
    if (!turns.endsWith(who)) turns += who;
  };
  const front = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect(tlsPort, "127.0.0.1");
    const back = new PoliteLine();
    const deaf = () => turns.replaceAll("c", "").length >= deafAfter;
    client.on("data", (bytes) => {
      note("c");
      back.heard();
      if (!deaf()) server.write(bytes);
    });
    server.on("data", (bytes) =>
      back.push(() => {
        note("s");
        bytesToClient += bytes.length;
        client.write(bytes);
      }),
    );
    client.on("end", () => {
      if (!deaf()) server.end();
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
    resumed,
    get bytesToClient() {
      return bytesToClient;
    },
    forget: () => terminator.setTicketKeys(randomBytes(48)),
    stop: async () => {
      await Promise.all([front, terminator].map(close));
    },
  };
}

/** The number of turns of the event loop without a byte of the client before the client counts as silent. */
const SILENT_TURNS = 50;

/** Answers on their way. They arrive once the client is silent. */
class PoliteLine {
  readonly #waiting: (() => void)[] = [];
  #silentTurns = 0;
  #turning = false;

  push(deliver: () => void): void {
    this.#waiting.push(deliver);
    this.heard();
    if (!this.#turning) this.#turn();
  }

  /** Notes that the client has sent bytes: it may send more. */
  heard(): void {
    this.#silentTurns = 0;
  }

  #turn(): void {
    this.#turning = this.#waiting.length > 0;
    if (!this.#turning) return;
    this.#silentTurns += 1;
    if (this.#silentTurns > SILENT_TURNS) for (const deliver of this.#waiting.splice(0)) deliver();
    setImmediate(() => this.#turn());
  }
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
  // The address of a server that listens on TCP is of this type.
  return (server.address() as AddressInfo).port;
}

function close(server: Server): Promise<void> {
  for (const socket of open.get(server) ?? []) socket.destroy();
  return new Promise((resolve) => server.close(() => resolve()));
}

const ED25519 = der(0x30, der(0x06, Buffer.from([0x2b, 0x65, 0x70])));
const NOBODY = der(0x30);

/** Makes a certificate that is signed by its own key (RFC 5280, section 4.1). */
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

/** Encodes one value in DER, of at most 255 bytes. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

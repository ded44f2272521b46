import { randomInt } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { RelayClient } from "./client.ts";
import {
  ByteQueue,
  CANCEL_REQUEST,
  errorFields,
  firstMessage,
  GSS_ENCRYPTION_REQUEST,
  int32,
  message,
  PROTOCOL_3,
  type ProxyWords,
  proxyError,
  readFirstMessage,
  readMessage,
  readParameters,
  SSL_REQUEST,
  writeParameters,
} from "./messages.ts";
import { type Address, dial, joinPipe } from "./pipe.ts";
import { proveByScram, SaslRefused } from "./scram.ts";

/** The real cancel key of each invented one, both in wire format: process id and secret. */
export type KeyRing = Map<string, Buffer>;

/** The input of a login through the proxy. */
export interface NeonOptions {
  readonly address: Address;
  readonly keys: KeyRing;
  readonly wakeUpMs: number;
  /** Returns the words with which every login fails; null lets logins pass. */
  failure(): ProxyWords | null;
}

/** The startup parameters that the proxy forwards; it drops all others (neondatabase/neon, `proxy/src/compute`). */
const FORWARDED = ["user", "database", "application_name", "replication", "options"];

const AUTHENTICATION = { ok: 0, cleartext: 3, sasl: 10, saslFinal: 12 } as const;
/** Among others: the role does not exist, or may not log in. */
const INVALID_AUTHORIZATION = "28000";
const INVALID_PASSWORD = "28P01";
/** The proxy's client for PostgreSQL, when a server hangs up during the login. */
const EARLY_EOF = "error communicating with the server: early eof";

/** The proxy's refusal of a login. The client gets only this sentence, and the code. */
class LoginRefused extends Error {
  override readonly name: string = "LoginRefused";
  readonly code: string | undefined;

  constructor(sentence: string, { code, cause }: { code?: string; cause?: unknown } = {}) {
    super(sentence, { cause });
    this.code = code;
  }
}

/** One login: what both sides have sent so far. */
interface Login {
  readonly client: RelayClient;
  readonly options: NeonOptions;
  readonly fromClient: ByteQueue;
  readonly fromServer: ByteQueue;
  /** Null until the server is dialled. */
  server: Socket | null;
  /** Whether the server has taken the connection. */
  reached: boolean;
  gone: boolean;
}

/** Logs a client in as Neon's proxy does, and then passes bytes. Never rejects. */
export async function joinNeon(client: RelayClient, options: NeonOptions): Promise<void> {
  const login: Login = {
    client,
    options,
    fromClient: new ByteQueue(),
    fromServer: new ByteQueue(),
    server: null,
    reached: false,
    gone: false,
  };
  client.deliverTo({
    bytes: (bytes) => login.fromClient.push(bytes),
    end: () => {
      login.gone = true;
      login.fromClient.end();
      login.server?.destroy();
    },
    pressure: () => undefined,
  });
  try {
    await converse(login);
  } catch (thrown) {
    if (!(thrown instanceof LoginRefused)) return client.abort();
    const { message: text, code } = thrown;
    client.send(proxyError({ text, ...(code !== undefined && { code }) }));
    client.end("login refused");
    login.server?.destroy();
  }
}

/** Dials the server on behalf of the client, if that is still there. */
function openServer(login: Login): Socket {
  if (login.gone) throw new Error("The client left during its login.");
  const server = dial(login.options.address);
  login.server = server;
  server.once("connect", () => {
    login.reached = true;
  });
  server.on("error", () => login.fromServer.end());
  server.on("close", () => login.fromServer.end());
  return server;
}

async function converse(login: Login): Promise<void> {
  const { client, fromClient } = login;
  for (;;) {
    const first = await readFirstMessage(fromClient);
    if (first.code === CANCEL_REQUEST) return await cancel(login, first.body);
    if (first.code === PROTOCOL_3) return await logIn(login, readParameters(first.body));
    const asksForEncryption = first.code === SSL_REQUEST || first.code === GSS_ENCRYPTION_REQUEST;
    if (!asksForEncryption) throw new LoginRefused(`Protocol ${first.code} is not supported`);
    client.send(Buffer.from("N"));
  }
}

async function cancel(login: Login, key: Buffer): Promise<void> {
  const real = login.options.keys.get(key.toString("hex"));
  if (real !== undefined) {
    const server = openServer(login);
    server.end(firstMessage(CANCEL_REQUEST, real));
    server.resume();
    // The server answers nothing and closes when the cancel is on its way.
    await once(server, "close");
  }
  login.client.end("cancel request served");
}

async function logIn(login: Login, asked: ReadonlyMap<string, string>): Promise<void> {
  const { client, options, fromClient, fromServer } = login;
  client.send(message("R", int32(AUTHENTICATION.cleartext)));
  const answer = await readMessage(fromClient);
  if (answer.type !== "p") throw new LoginRefused("expected a password");
  const password = answer.body.toString("utf8", 0, answer.body.length - 1);
  await pause(options.wakeUpMs);
  const failure = options.failure();
  if (failure !== null) throw new LoginRefused(failure.text, failure);

  const server = openServer(login);
  const collect = (bytes: Buffer) => fromServer.push(bytes);
  server.on("data", collect);
  const kept = new Map([...asked].filter(([name]) => FORWARDED.includes(name)));
  server.write(firstMessage(PROTOCOL_3, writeParameters(kept)));
  await untilReady(login, server, { user: asked.get("user") ?? "", password });
  client.send(fromServer.drain());
  server.off("data", collect);
  joinPipe(client, server);
  // The server went away between its last word and here: "close" has passed already.
  if (server.destroyed) client.abort();
  // Bytes that came with the password go on only now, as in Neon's proxy.
  const pipelined = fromClient.drain();
  if (pipelined.length > 0) server.write(pipelined);
}

/** The user and password of a login. */
interface Credentials {
  readonly user: string;
  readonly password: string;
}

async function untilReady(login: Login, server: Socket, as: Credentials): Promise<void> {
  const { client, options, fromServer } = login;
  for (;;) {
    const { type, body, whole } = await readMessage(fromServer).catch((cause: unknown) => {
      throw new LoginRefused(login.reached ? EARLY_EOF : "Couldn't connect to compute node", {
        cause,
      });
    });
    if (type === "E") throw refusal(errorFields(body), as.user);
    if (type === "R") await authenticate(login, server, { ...as, code: body.readInt32BE(0) });
    else if (type === "K") client.send(message("K", inventKey(options.keys, body, server)));
    else client.send(whole);
    if (type === "Z") return;
  }
}

async function authenticate(
  { client, fromServer }: Login,
  server: Socket,
  asked: Credentials & { readonly code: number },
): Promise<void> {
  if (asked.code === AUTHENTICATION.ok) {
    client.send(message("R", int32(AUTHENTICATION.ok)));
  } else if (asked.code === AUTHENTICATION.cleartext) {
    server.write(message("p", asked.password));
  } else if (asked.code === AUTHENTICATION.sasl) {
    await proveByScram(asked.password, fromServer, (bytes) => server.write(bytes)).catch(
      (thrown: unknown) => {
        throw thrown instanceof SaslRefused ? refusal(thrown.fields, asked.user) : thrown;
      },
    );
  } else if (asked.code !== AUTHENTICATION.saslFinal) {
    throw new LoginRefused("unsupported authentication method");
  }
}

/**
 * Makes the refusal. Neon's proxy knows passwords and roles, and has its own sentence for a wrong one. It passes on what
 * the server says to everything else.
 */
function refusal(fields: ReadonlyMap<string, string>, user: string): LoginRefused {
  const code = fields.get("C");
  const text = fields.get("M") ?? "Internal error";
  const isUnknown = code === INVALID_AUTHORIZATION && text.endsWith("does not exist");
  if (code === INVALID_PASSWORD || isUnknown) {
    return new LoginRefused(`password authentication failed for user '${user}'`);
  }
  return new LoginRefused(text);
}

/** Invents a cancel key, which only this relay knows, for as long as the session lives. */
function inventKey(keys: KeyRing, real: Buffer, session: Socket): Buffer {
  const key = Buffer.concat([int32(randomInt(2 ** 31)), int32(randomInt(2 ** 31))]);
  const name = key.toString("hex");
  keys.set(name, real);
  session.once("close", () => keys.delete(name));
  return key;
}

/**
 * PostgreSQL's protocol, as far as a login needs it.
 * Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol", "Message Formats".
 */

/** A message after the first one: a letter, and the body behind its length. */
export interface Message {
  readonly type: string;
  readonly body: Buffer;
  /** The message as it was received. */
  readonly whole: Buffer;
}

/** The first message of a connection. It has no letter. */
export interface FirstMessage {
  readonly code: number;
  readonly body: Buffer;
}

export const PROTOCOL_3: number = 196_608;
export const CANCEL_REQUEST: number = 80_877_102;
export const SSL_REQUEST: number = 80_877_103;
export const GSS_ENCRYPTION_REQUEST: number = 80_877_104;

/** The longest first message that Neon's proxy accepts, in bytes. */
const MAX_FIRST_MESSAGE = 10_000;

/** A queue of bytes: they arrive in pieces of any size, and are read in pieces of a given size. */
export class ByteQueue {
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  push(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    this.#wake();
  }

  /** Says that no more bytes will come. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Waits for so many bytes. @throws Error when the other side ends before they have come */
  async read(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#ended) throw new Error("The connection ended within a message.");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** Takes all bytes that have come and were not read. */
  drain(): Buffer {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }
}

/** Reads a message that starts with a letter. */
export async function readMessage(from: ByteQueue): Promise<Message> {
  const head = await from.read(5);
  const body = await from.read(Math.max(head.readInt32BE(1) - 4, 0));
  return { type: head.toString("latin1", 0, 1), body, whole: Buffer.concat([head, body]) };
}

/** Reads the first message of a connection. */
export async function readFirstMessage(from: ByteQueue): Promise<FirstMessage> {
  const head = await from.read(8);
  const length = head.readInt32BE(0);
  if (length < 8 || length > MAX_FIRST_MESSAGE) throw new Error("The first message has no length.");
  return { code: head.readInt32BE(4), body: await from.read(length - 8) };
}

/** Builds a message with a letter. */
export function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? text(part) : part)));
  return Buffer.concat([Buffer.from(type, "latin1"), int32(body.length + 4), body]);
}

/** Builds a first message. */
export function firstMessage(code: number, body: Buffer): Buffer {
  return Buffer.concat([int32(body.length + 8), int32(code), body]);
}

/** Words of Neon's proxy. */
export interface ProxyWords {
  readonly text: string;
  /** The SQLSTATE. Default: XX000. */
  readonly code?: string;
}

/** Builds an ErrorResponse as Neon's proxy sends it: severity, SQLSTATE and text, and no other field. */
export function proxyError({ text: sentence, code = "XX000" }: ProxyWords): Buffer {
  return message("E", "SERROR", `C${code}`, `M${sentence}`, Buffer.from([0]));
}

/** Reads the fields of an ErrorResponse, by their letter. */
export function errorFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = body.toString("utf8").split("\0").filter(Boolean);
  return new Map(fields.map((field) => [field.slice(0, 1), field.slice(1)]));
}

/** Reads the parameters of a startup message. */
export function readParameters(body: Buffer): ReadonlyMap<string, string> {
  const words = body.toString("utf8").split("\0");
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < words.length && words[index] !== ""; index += 2) {
    pairs.push([words[index] ?? "", words[index + 1] ?? ""]);
  }
  return new Map(pairs);
}

/** Builds the body of a startup message. */
export function writeParameters(parameters: ReadonlyMap<string, string>): Buffer {
  const words = [...parameters].flatMap(([name, value]) => [text(name), text(value)]);
  return Buffer.concat([...words, Buffer.from([0])]);
}

/** Writes a big-endian 32-bit number. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, "utf8");
}

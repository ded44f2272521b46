const HEAD_BYTES = 5;
/** PostgreSQL sends no longer message. */
const MOST_BYTES = 0x3fff_ffff;
/** ErrorResponse and NoticeResponse: lists of fields, with a zero behind each and one more at their end. */
const LISTS = ["E", "N"];

/**
 * Watches the bounds of a server's messages. The driver would wait for ever for a message of an impossible length, and
 * for the end of a list that has none it would look without ever letting go of the process.
 */
export class Frames {
  readonly #head: Buffer = Buffer.alloc(HEAD_BYTES);
  #known = 0;
  #left = 0;
  /** The number of zeros that the content ends with so far. */
  #zeros = 0;

  /**
   * Takes the bytes as they come.
   * @throws Error for bytes that are no message of PostgreSQL
   */
  read(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      at += this.#known < HEAD_BYTES ? this.#readHead(bytes[at]) : this.#readContent(bytes, at);
      if (this.#known === HEAD_BYTES && this.#left === 0) this.#end();
    }
  }

  #readHead(byte = 0): number {
    this.#head[this.#known] = byte;
    this.#known += 1;
    if (this.#known < HEAD_BYTES) return 1;
    this.#left = this.#head.readUInt32BE(1) + 1 - HEAD_BYTES;
    this.#zeros = 0;
    if (this.#left < 0 || this.#left > MOST_BYTES) throw new Error("it gives an impossible length");
    return 1;
  }

  #readContent(bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(at, at + this.#left);
    for (const byte of part.subarray(-2)) this.#zeros = byte === 0 ? this.#zeros + 1 : 0;
    this.#left -= part.length;
    return part.length;
  }

  #end(): void {
    this.#known = 0;
    const isList = LISTS.includes(String.fromCharCode(this.#head[0] ?? 0));
    // An empty list is one byte long, so that its message is as long as a head.
    const enough = this.#head.readUInt32BE(1) === HEAD_BYTES ? 1 : 2;
    if (isList && this.#zeros < enough) throw new Error("it is a list without an end");
  }
}

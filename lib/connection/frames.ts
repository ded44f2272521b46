const HEAD_BYTES = 5;
/** ErrorResponse (E) and NoticeResponse (N) are lists: a zero ends each field, and one more the list. */
const LISTS: readonly unknown[] = [0x45, 0x4e];

/**
 * Watches the bounds of a server's messages. For the end of a list that has none the driver would look without ever
 * letting go of the process. A message that is too long to be true is left to the deadline.
 */
export class Frames {
  readonly #head: Buffer = Buffer.alloc(HEAD_BYTES);
  #known = 0;
  #left = 0;
  /** The last two bytes of the content. It is 0 where they end a list. */
  #tail = 0;

  /**
   * Takes the next bytes, and passes over those of a content but its last two.
   * @throws Error where they end no message of PostgreSQL
   */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#known < HEAD_BYTES) {
        this.#begin(bytes[at] ?? 0);
        at += 1;
      } else {
        const count = Math.min(this.#left, bytes.length - at);
        at += count;
        this.#left -= count;
        const before = count > 1 ? (bytes[at - 2] ?? 0) : this.#tail & 0xff;
        this.#tail = (before << 8) | (bytes[at - 1] ?? 0);
      }
      if (this.#known === HEAD_BYTES && this.#left <= 0) this.#end();
    }
  }

  #begin(byte: number): void {
    this.#head[this.#known] = byte;
    this.#known += 1;
    if (this.#known < HEAD_BYTES) return;
    this.#left = this.#head.readUInt32BE(1) - 4;
    // An empty list is one zero. No content at all is no list.
    this.#tail = this.#left === 0 ? 1 : 0;
  }

  #end(): void {
    this.#known = 0;
    const isCut = this.#tail !== 0 && LISTS.includes(this.#head[0]);
    if (this.#left !== 0 || isCut) throw new Error("it has no end");
  }
}

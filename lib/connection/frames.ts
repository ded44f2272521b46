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
   * Takes the next byte.
   * @throws Error where it ends no message of PostgreSQL
   */
  take(byte: number): void {
    if (this.#known < HEAD_BYTES) {
      this.#head[this.#known] = byte;
      this.#known += 1;
      if (this.#known < HEAD_BYTES) return;
      this.#left = this.#head.readUInt32BE(1) - 4;
      // An empty list is one zero. No content at all is no list.
      this.#tail = this.#left === 0 ? 1 : 0;
    } else {
      this.#left -= 1;
      this.#tail = ((this.#tail << 8) | byte) & 0xffff;
    }
    if (this.#left > 0) return;
    this.#known = 0;
    const isCut = this.#tail !== 0 && LISTS.includes(this.#head[0]);
    if (this.#left !== 0 || isCut) throw new Error("it has no end");
  }
}

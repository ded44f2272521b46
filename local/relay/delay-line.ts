/** The conditions of a wire, asked anew for every piece. */
export interface LineConditions {
  /** The travel time, in ms. 0 and no limit deliver at once. */
  delayMs(): number;
  /** Bits that enter the wire in a second. Default: no limit. */
  bitsPerSecond?(): number;
}

/** One direction of a wire with a travel time and a width. Pieces come out later, in the same order. */
export class DelayLine {
  readonly #conditions: LineConditions;
  readonly #waiting: { readonly dueAt: number; readonly deliver: () => void }[] = [];
  /** When the last piece has entered the wire as a whole. */
  #freeAt = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(conditions: LineConditions) {
    this.#conditions = conditions;
  }

  /**
   * Sends a piece on its way. Any number may travel at a time, but each enters the wire behind the one before it.
   * @param bytes its size. Default: 0, which takes no time to enter
   */
  push(deliver: () => void, bytes = 0): void {
    const delayMs = this.#conditions.delayMs();
    const enteringMs = (bytes * 8_000) / (this.#conditions.bitsPerSecond?.() ?? Infinity);
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + enteringMs;
    const dueAt = this.#freeAt + delayMs;
    if (dueAt <= now && this.#waiting.length === 0) {
      deliver();
      return;
    }
    this.#waiting.push({ dueAt, deliver });
    this.#timer ??= setTimeout(() => this.#arrive(), dueAt - now);
  }

  /** The number of pieces on their way. */
  get underWay(): number {
    return this.#waiting.length;
  }

  /** The time until everything has entered the wire, in ms. */
  get backlogMs(): number {
    return Math.max(this.#freeAt - performance.now(), 0);
  }

  /** Drops the pieces that are on their way. */
  clear(): void {
    this.#waiting.length = 0;
    this.#freeAt = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arrive(): void {
    this.#timer = null;
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const remainingMs = head.dueAt - performance.now();
      // A timer may fire a fraction of a millisecond early.
      if (remainingMs > 0.5) {
        this.#timer ??= setTimeout(() => this.#arrive(), remainingMs);
        return;
      }
      this.#waiting.shift();
      head.deliver();
    }
  }
}

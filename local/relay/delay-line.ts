/** One direction of a wire with a travel time. Pieces come out later, in the same order. */
export class DelayLine {
  readonly #delayMs: () => number;
  readonly #waiting: { readonly dueAt: number; readonly deliver: () => void }[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** @param delayMs the delay, asked anew for every piece; 0 delivers at once */
  constructor(delayMs: () => number) {
    this.#delayMs = delayMs;
  }

  /** Sends a piece on its way. Any number may travel at a time: only latency is added. */
  push(deliver: () => void): void {
    const delayMs = this.#delayMs();
    if (delayMs === 0 && this.#waiting.length === 0) {
      deliver();
      return;
    }
    this.#waiting.push({ dueAt: performance.now() + delayMs, deliver });
    this.#timer ??= setTimeout(() => this.#arrive(), delayMs);
  }

  /** The number of pieces on their way. */
  get underWay(): number {
    return this.#waiting.length;
  }

  /** Drops the pieces that are on their way. */
  clear(): void {
    this.#waiting.length = 0;
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

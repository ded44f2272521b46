import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";

/** A time on the axis, in ms since the run began. */
export interface Span {
  readonly fromMs: number;
  readonly ms: number;
}

/** Width of a bar's drawing. The page stretches it. */
const WIDTH = 1_000;
/** A bar that can still be seen. */
const LEAST = 3;
/** Number of parts of the axis. */
const PARTS = 4;
const NICE = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** The axis of a waterfall: from 0 to a round number in each of its parts. */
export class Axis {
  readonly #ms: number;

  /** @param ms the latest time on it */
  constructor(ms: number) {
    const power = 10 ** Math.floor(Math.log10(Math.max(ms, 1) / PARTS));
    const step = NICE.find((each) => each * power * PARTS >= ms) ?? 10;
    this.#ms = step * power * PARTS;
  }

  /** The line above the rows. */
  get ticks(): Html {
    const marks = Array.from({ length: PARTS + 1 }, (_, index) => (this.#ms / PARTS) * index);
    const shown = marks.map((ms) => html`<span>${duration(ms)}</span>`);
    return html`<div class="row axis" aria-hidden="true"><span></span><span class="ticks">${shown}</span><span></span></div>`;
  }

  /** Draws a time, with the parts of it in which it waited, and those in which others waited. */
  bar(
    tone: string,
    span: Span | null,
    waits: readonly Span[] = [],
    stalls: readonly Span[] = [],
  ): Html {
    const line = (spans: readonly Span[], y: number) =>
      spans.map((each) => this.#path(each, y)).join("");
    const mark = (name: string, d: string) =>
      d === "" ? null : html`<path class="${name}" d="${d}"/>`;
    const own = span === null ? null : html`<path d="${this.#path(span, 5)}"/>`;
    return html`<svg class="bar ${tone}" viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true">${own}${mark("w", line(waits, 5))}${mark("s", line(stalls, 9))}</svg>`;
  }

  /** Whether a bar of this length can be told from none. */
  canShow(ms: number): boolean {
    return (ms / this.#ms) * WIDTH >= LEAST;
  }

  #path({ fromMs, ms }: Span, y: number): string {
    const from = Math.min((Math.max(fromMs, 0) / this.#ms) * WIDTH, WIDTH - LEAST);
    const width = Math.min(Math.max((ms / this.#ms) * WIDTH, LEAST), WIDTH - from);
    return `M${round(from)} ${y}h${round(width)}`;
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

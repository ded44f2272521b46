import type { Report } from "../report/report.ts";
import { counted } from "../text.ts";
import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";
import { openable, type Statements } from "./statements.ts";

/** Width of a bar's drawing. The page stretches it. */
const WIDTH = 1_000;
/** A bar that can still be seen. */
const LEAST = 3;
/** Number of parts of the axis. */
const PARTS = 4;
const NICE = [1, 2, 2.5, 5, 10];

interface Bar {
  readonly fromMs: number;
  readonly ms: number;
}

/** Shows the parts of a run and its migrations over time, in the order in which they came. */
export function waterfallSection(report: Report, statements: Statements): Html | null {
  const { applied, pending, timings, error } = report;
  if (applied.length + pending.length === 0) return null;
  const { connectMs, lockMs, planMs } = timings;
  let clock = 0;
  const next = (ms: number): Bar => {
    clock += ms;
    return { fromMs: clock - ms, ms };
  };
  const parts = [
    ["connect", next(connectMs)],
    ["migration lock", next(lockMs)],
    ["plan", next(planMs)],
  ] as const;
  const ran = applied.map((migration) => ({ migration, bar: next(migration.durationMs ?? 0) }));
  const axis = axisFor(Math.max(clock, timings.totalMs, 1));
  const rows = [
    ...parts.map(([name, bar]) =>
      openable(head("phase", html`<span class="dim">${name}</span>`, bar, axis), null),
    ),
    ...ran.map(({ migration: { tag, statements: count }, bar }) =>
      openable(
        head("good", named(tag, counted(count, "statement")), bar, axis),
        statements.list(tag),
      ),
    ),
    ...pending.map(({ tag, statements: count, done }) => {
      const isFailed = error?.migration === tag;
      const state = done === 0 ? counted(count, "statement") : `${done} of ${count} done`;
      const label = isFailed ? "failed here" : "pending";
      return openable(
        plain(isFailed ? "bad" : "open", named(tag, state), label),
        statements.list(tag, done),
      );
    }),
  ];
  return html`<section aria-labelledby="runs"><h2 id="runs">Over time</h2>
<div class="row axis" aria-hidden="true"><span></span><span class="ticks">${ticks(axis)}</span><span></span></div>
<ul class="rows">${rows}</ul>
${statements.hasAny ? html`<p class="note">Who has to wait for a lock is by PostgreSQL’s documented locks: nothing of it was measured.</p>` : null}
</section>`;
}

function head(tone: string, name: Html, { fromMs, ms }: Bar, axisMs: number): Html {
  const from = Math.min((fromMs / axisMs) * WIDTH, WIDTH - LEAST);
  const width = Math.max((ms / axisMs) * WIDTH, LEAST);
  const path = `M${from.toFixed(1)} 5h${width.toFixed(1)}`;
  return html`<span class="name">${name}</span><svg class="bar ${tone}" viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true"><path d="${path}"/></svg><span class="num">${duration(ms)}</span>`;
}

function plain(tone: string, name: Html, label: string): Html {
  return html`<span class="name">${name}</span><span class="bar"></span><span class="pill ${tone}">${label}</span>`;
}

function named(tag: string, more: string): Html {
  return html`<b>${tag}</b> <span class="dim">${more}</span>`;
}

/** The end of the axis: a round number in each of its parts. */
function axisFor(ms: number): number {
  const power = 10 ** Math.floor(Math.log10(ms / PARTS));
  const step = NICE.find((each) => each * power * PARTS >= ms) ?? 10;
  return step * power * PARTS;
}

function ticks(axisMs: number): readonly Html[] {
  return Array.from(
    { length: PARTS + 1 },
    (_, index) => html`<span>${duration((axisMs / PARTS) * index)}</span>`,
  );
}

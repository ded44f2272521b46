import type { Report } from "../report/report.ts";
import { counted } from "../text.ts";
import { Axis, type Span } from "./axis.ts";
import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";
import { openable, type Statements } from "./statements.ts";
import { placedIn, spanOf, spansOf } from "./times.ts";
import { waitingList } from "./waiting.ts";

type Applied = Report["applied"][number];
type Pending = Report["pending"][number];

/** Shows the parts of a run and its migrations over time, in the order in which they came. */
export function waterfallSection(report: Report, statements: Statements): Html | null {
  const { applied, pending } = report;
  if (applied.length + pending.length + report.waits.length === 0) return null;
  const { phases, spans, endMs } = clockOf(report);
  const axis = new Axis(Math.max(endMs, report.timings.totalMs, 1));
  const show = { report, axis, statements };
  const rows = [
    ...phases.map(([name, span]) => phaseRow(show, name, span)),
    ...applied.map((migration, index) => appliedRow(show, migration, spans[index] ?? null)),
    ...pending.map((migration) => pendingRow(show, migration)),
  ];
  const isTimed = [...applied, ...pending].some(({ startedMs }) => startedMs !== undefined);
  return html`<section aria-labelledby="runs"><h2 id="runs">Over time</h2>
${axis.ticks}
<ul class="rows">${rows}</ul>
${waitingList(report)}
${statements.hasAny ? html`<p class="note">The locks beside a statement are by PostgreSQL’s documentation.${isTimed ? " Who waited was seen by looking about once a second: shorter waits are not here." : ""}</p>` : null}
</section>`;
}

/** The needs of a row. */
interface Show {
  readonly report: Report;
  readonly axis: Axis;
  readonly statements: Statements;
}

/** Finds the place of everything in time. A report of an earlier version has no such places: there one follows the other. */
function clockOf({ applied, pending, timings }: Report) {
  let clock = 0;
  const next = (ms: number): Span => {
    clock += ms;
    return { fromMs: clock - ms, ms };
  };
  const phases = [
    ["connect", next(timings.connectMs)],
    ["migration lock", next(timings.lockMs)],
    ["plan", next(timings.planMs)],
  ] as const;
  const spans = applied.map((migration) => spanOf(migration) ?? next(migration.durationMs ?? 0));
  const begun = pending.flatMap((migration) => spanOf(migration) ?? []);
  const ends = [...spans, ...begun].map(({ fromMs, ms }) => fromMs + ms);
  return { phases, spans, endMs: ends.reduce((most, each) => Math.max(most, each), clock) };
}

function phaseRow({ report, axis }: Show, name: string, span: Span): Html {
  const isLock = name === "migration lock";
  const waits = isLock ? spansOf(placedIn(report.waits, null)) : [];
  return openable(
    html`<span class="name"><span class="dim">${name}</span></span>${axis.bar("phase", span, waits)}<span class="num">${duration(span.ms)}</span>`,
    null,
  );
}

function appliedRow(show: Show, migration: Applied, span: Span | null): Html {
  const { tag, statements: count, durationMs } = migration;
  const ms = durationMs ?? span?.ms ?? 0;
  const head = html`${named(show, tag, counted(count, "statement"))}${barOf(show, "good", tag, span)}<span class="num">${duration(ms)}</span>`;
  return openable(head, show.statements.list(migration, show.axis));
}

function pendingRow(show: Show, migration: Pending): Html {
  const { tag, statements: count, done } = migration;
  const span = spanOf(migration);
  const isFailed = show.report.error?.migration === tag;
  const state = done === 0 ? counted(count, "statement") : `${done} of ${count} done`;
  const took = span === null ? "" : ` · ${duration(span.ms)}`;
  const label = isFailed ? "failed here" : "pending";
  const head = html`${named(show, tag, `${state}${took}`)}${barOf(show, isFailed ? "bad" : "open", tag, span)}<span class="pill ${isFailed ? "bad" : "open"}">${label}</span>`;
  return openable(head, show.statements.list(migration, show.axis));
}

function barOf({ report, axis }: Show, tone: string, tag: string, span: Span | null): Html {
  const waits = spansOf(placedIn(report.waits, tag));
  const stalls = spansOf(placedIn(report.stalls, tag));
  return axis.bar(tone, span, waits, stalls);
}

function named({ report }: Show, tag: string, more: string): Html {
  const waitedMs = placedIn(report.waits, tag).reduce((sum, { durationMs }) => sum + durationMs, 0);
  const waited = waitedMs === 0 ? "" : ` · waited ${duration(waitedMs)}`;
  return html`<span class="name"><b>${tag}</b> <span class="dim">${more}${waited}</span></span>`;
}

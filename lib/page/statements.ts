import { type Bundle, type Migration, statementText } from "../bundle/bundle.ts";
import { locksOf, type StatementLocks } from "../bundle/statement-locks.ts";
import type { Report } from "../report/report.ts";
import { hidePasswords, shortened } from "../text.ts";
import type { Axis } from "./axis.ts";
import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";
import { placedIn, spansOf, statementSpans } from "./times.ts";

/** No reader needs more of one statement on a page. */
const MAX_SQL_LENGTH = 4_000;

type Entry = Report["applied"][number] | Report["pending"][number];

/** The statements of a report's migrations, for those who want to see them: their SQL needs a bundle, their times do not. */
export class Statements {
  readonly #report: Report;
  readonly #migrations: ReadonlyMap<string, Migration>;
  readonly #locks: StatementLocks;

  constructor(bundle: Bundle | null, report: Report) {
    const { applied, pending } = report;
    const tags = new Set([...applied, ...pending].map(({ tag }) => tag));
    const migrations = (bundle?.migrations ?? []).filter(({ tag }) => tags.has(tag));
    this.#report = report;
    this.#migrations = new Map(migrations.map((each) => [each.tag, each]));
    this.#locks = locksOf(migrations, pending);
  }

  /**
   * Returns the statements of a migration, each with its time, its SQL and its locks as far as they are known; null where
   * nothing is.
   * @param axis of the waterfall; null where there is none
   */
  list(entry: Entry, axis: Axis | null = null): Html | null {
    const { tag, statementMs = [] } = entry;
    const migration = this.#migrations.get(tag);
    const count = migration?.statements.length ?? statementMs.length;
    if (count === 0) return null;
    const spans = statementSpans(entry);
    // Short markup: of these there may be thousands.
    const rows = Array.from({ length: count }, (_, index) => {
      const span = spans[index] ?? null;
      const bar = axis !== null && span !== null && axis.canShow(span.ms);
      const drawn = bar ? this.#bar(entry, index, axis, span) : null;
      const time = span === null ? null : timeLine(duration(span.ms), drawn);
      return html`<li>${time}${this.#sql(migration, index)}${this.#states(entry, index)}${this.#lockLines(tag, index)}</li>`;
    });
    return html`<ol class="sql">${rows}</ol>`;
  }

  /** Whether there is any SQL to show. */
  get hasAny(): boolean {
    return this.#migrations.size > 0;
  }

  #bar(entry: Entry, index: number, axis: Axis, span: ReturnType<typeof spansOf>[number]): Html {
    const { waits, stalls } = this.#report;
    const tone = this.#isFailed(entry, index) ? "bad" : "good";
    const at = index + 1;
    return axis.bar(
      tone,
      span,
      spansOf(placedIn(waits, entry.tag, at)),
      spansOf(placedIn(stalls, entry.tag, at)),
    );
  }

  #sql(migration: Migration | undefined, index: number): Html | null {
    const statement = migration?.statements[index];
    if (migration === undefined || statement === undefined) return null;
    const sql = shortened(hidePasswords(statementText(migration, statement)), MAX_SQL_LENGTH);
    return html`<pre>${sql}</pre>`;
  }

  #states(entry: Entry, index: number): Html {
    const waits = placedIn(this.#report.waits, entry.tag, index + 1);
    const waitedMs = waits.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const waited = waitedMs === 0 ? null : html`<p class=w>waited ${duration(waitedMs)}</p>`;
    if (this.#isFailed(entry, index)) return html`<p class=x>failed here</p>${waited}`;
    return html`${doneOrNot(entry, index)}${waited}`;
  }

  #lockLines(tag: string, index: number): readonly Html[] {
    return this.#locks
      .linesFor(tag, index)
      .map(({ text, blocks }) => html`<p${blocks ? html` class=w` : null}>${text}</p>`);
  }

  #isFailed({ tag }: Entry, index: number): boolean {
    const { error } = this.#report;
    return error?.migration === tag && error.statement?.index === index + 1;
  }
}

function timeLine(time: string, bar: Html | null): Html {
  return bar === null
    ? html`<p class=d>${time}</p>`
    : html`<p class=t>${bar}<span>${time}</span></p>`;
}

function doneOrNot(entry: Entry, index: number): Html | null {
  if (!("done" in entry) || entry.done === 0) return null;
  return html`<p>${index < entry.done ? "done" : "left to do"}</p>`;
}

/** Makes a row that opens where there is more to see, and a plain one otherwise. */
export function openable(head: Html, more: Html | null): Html {
  return more === null
    ? html`<li><div class="row">${head}</div></li>`
    : html`<li><details><summary class="row">${head}</summary>${more}</details></li>`;
}

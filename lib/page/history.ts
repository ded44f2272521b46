/*
 * History page: the runs of a database as one self-contained HTML page, the newest first: who, when, how long, what was
 * applied, and the state before it. Only the command line makes it.
 */

import type { HistoryRun } from "../history/runs.ts";
import type { Report } from "../report/report.ts";
import { counted, minuteOf } from "../text.ts";
import { Axis } from "./axis.ts";
import { pageOf } from "./document.ts";
import { type Html, html } from "./html.ts";
import { duration, type Outcome } from "./outcome.ts";
import { openable } from "./statements.ts";

/** The runs of a database, as a history has them. */
export interface History {
  readonly database: NonNullable<Report["database"]>;
  /** Whether there is a history at all. */
  readonly exists: boolean;
  /** The newest first. */
  readonly runs: readonly HistoryRun[];
  /** Number of older runs that are not listed. */
  readonly more: number;
}

/** Makes the page of a history. */
export function renderHistoryPage(history: History): string {
  const { database, runs, more } = history;
  const { name, host, serverVersion, role } = database;
  const axis = new Axis(runs.reduce((most, { durationMs }) => Math.max(most, durationMs), 1));
  const rows = runs.map((run) => openable(headOf(run, axis), detailsOf(run)));
  const older =
    more === 0 ? null : html`<p class="note">${counted(more, "older run")} not shown.</p>`;
  const body =
    runs.length === 0
      ? null
      : html`<section aria-labelledby="runs"><h2 id="runs">Runs, the newest first</h2>
${axis.ticks}
<ul class="rows">${rows}</ul>${older}</section>`;
  return pageOf({
    maker: "neon-migrate history",
    outcome: historyOutcomeOf(history),
    place: `${name} on ${host} · PostgreSQL ${serverVersion} · as ${role}`,
    body: [body],
    foot: html`times in UTC`,
  });
}

function historyOutcomeOf({ exists, runs, more }: History): Outcome {
  const count = runs.length + more;
  if (count === 0) {
    const sentence = exists ? "No run has written anything." : "There is no history here.";
    return { tone: "open", label: "history", sentence };
  }
  const [newest] = runs;
  const ended = newest?.status === "failed" ? "failed" : "went well";
  const last =
    newest === undefined ? "" : ` The last one ${ended}, at ${momentOf(newest.endedAt)}.`;
  return {
    tone: newest?.status === "failed" ? "bad" : "good",
    label: "history",
    sentence: `${counted(count, "run")} known.${last}`,
  };
}

function momentOf(at: string | null): string {
  return at === null ? "an unknown time" : minuteOf(Date.parse(at));
}

function headOf({ status, endedAt, by, durationMs }: HistoryRun, axis: Axis): Html {
  const tone = status === "failed" ? "bad" : "good";
  const who = by === "" ? null : html` <span class="dim">${by}</span>`;
  return html`<span class="name"><span class="pill ${tone}">${status}</span> <b>${momentOf(endedAt)}</b>${who}</span>${axis.bar(tone, { fromMs: 0, ms: durationMs })}<span class="num">${duration(durationMs)}</span>`;
}

function detailsOf({ requestId, executor, version, restorePoint, ...run }: HistoryRun): Html {
  const applied = run.migrations.map(({ tag, durationMs, statements }) => {
    const count = statements === null ? "" : `, ${counted(statements, "statement")}`;
    return html`<li><b>${tag}</b> <span class="dim">${duration(durationMs)}${count}</span></li>`;
  });
  const facts: readonly (readonly [string, string | null])[] = [
    ["Request", requestId],
    ["State before it", restorePoint?.lsn ?? restorePoint?.time ?? null],
    ["Role", run.role],
    ["Executor", executor],
    ["Version", version],
    ["Bundle", run.bundleHash?.slice(0, 12) ?? null],
  ];
  const rows = facts.flatMap(([name, text]) =>
    text === null ? [] : [html`<div><dt>${name}</dt><dd>${text}</dd></div>`],
  );
  return html`${errorOf(run)}${applied.length === 0 ? null : html`<ul class="who">${applied}</ul>`}<dl class="grid">${rows}</dl>`;
}

function errorOf({ error }: Pick<HistoryRun, "error">): Html | null {
  if (error === null) return null;
  const where = error.migration === null ? "" : ` in ${error.migration}`;
  return html`<p><code class="code">${error.code}</code>${where}</p><p class="text">${error.message}</p>`;
}

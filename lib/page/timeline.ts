import type { Report } from "../report/report.ts";
import { minuteOf, shortened } from "../text.ts";
import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";
import { openable, type Statements } from "./statements.ts";

/** One row of the timeline. The first is the oldest. */
interface Entry {
  readonly when: number | null;
  readonly markup: Html;
}

/** Says which run is under way at this moment. */
export function runningSection({ running }: Report): Html | null {
  if (running == null) return null;
  const { pid, application, role, since, state, statement } = running;
  const facts = [`pid ${pid}`, role === null ? "" : `role ${role}`, state ?? ""].filter(Boolean);
  const what =
    statement === null || statement === ""
      ? null
      : html`<pre tabindex="0"><code>${statement}</code></pre>`;
  return html`<section class="running" aria-labelledby="running"><h2 id="running">A run is under way</h2>
<p>${application ?? "A session without a name"} (${facts.join(", ")})${since === null ? "" : `, since ${since}`}</p>${what}</section>`;
}

/** Shows every migration of a database in the order of their times: made, applied, how long, and where it disagrees. */
export function timelineSection(
  { applied, pending, drift }: Report,
  statements: Statements,
): Html | null {
  const modified = new Set(drift.modified.map(({ tag }) => tag));
  const late = new Set(drift.outOfOrder.map(({ tag }) => tag));
  const entries: readonly Entry[] = [
    ...applied.map((migration) => {
      const { tag, when, appliedAt, appliedBy, durationMs } = migration;
      const isModified = modified.has(tag);
      const took = durationMs === null ? "" : duration(durationMs);
      const pill = isModified ? pillOf("open", "modified since") : pillOf("good", "applied");
      const facts = times(when, appliedAt, took, appliedBy);
      return { when, markup: row(tag, [pill], facts, statements.list(migration)) };
    }),
    ...pending.map((migration) => {
      const { tag, when, done, statements: count } = migration;
      const pills = [
        done === 0 ? pillOf("open", "pending") : pillOf("bad", `half applied: ${done} of ${count}`),
        late.has(tag) ? pillOf("bad", "out of order") : null,
        modified.has(tag) ? pillOf("open", "modified since") : null,
      ];
      return { when, markup: row(tag, pills, times(when), statements.list(migration)) };
    }),
    ...drift.unknown.map(({ name, hash, when, appliedAt }) => {
      const pill = pillOf("bad", "ahead: in no file");
      return {
        when,
        markup: row(name ?? `hash ${shortened(hash, 13)}`, [pill], times(when, appliedAt), null),
      };
    }),
  ];
  if (entries.length === 0) return null;
  const sorted = entries.toSorted(
    (one, other) => (one.when ?? Infinity) - (other.when ?? Infinity),
  );
  return html`<section aria-labelledby="timeline"><h2 id="timeline">Migrations</h2><ul class="rows timeline">${sorted.map(({ markup }) => markup)}</ul></section>`;
}

function row(tag: string, pills: readonly (Html | null)[], when: Html, more: Html | null): Html {
  return openable(
    html`<span class="name"><b>${tag}</b></span><span class="when">${when}</span><span class="state">${pills}</span>`,
    more,
  );
}

function times(
  when: number | null,
  appliedAt?: string | null,
  took = "",
  appliedBy?: string | null,
): Html {
  const made = when === null ? "made –" : `made ${minuteOf(when)}`;
  const applied = typeof appliedAt === "string" ? `applied ${minuteOf(Date.parse(appliedAt))}` : "";
  const by = typeof appliedBy === "string" && appliedBy !== "" ? `by ${appliedBy}` : "";
  const parts = [made, applied, took, by].filter(Boolean);
  return html`${parts.map((part) => html`<span>${part}</span>`)}`;
}

function pillOf(tone: string, text: string): Html {
  return html`<span class="pill ${tone}">${text}</span>`;
}

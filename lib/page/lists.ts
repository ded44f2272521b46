import { callerInWords } from "../caller-words.ts";
import type { Asked } from "../report/asked.ts";
import type { Report } from "../report/report.ts";
import { counted, oneLine } from "../text.ts";
import { type Html, html } from "./html.ts";
import { longestLockout } from "./lockouts.ts";
import { duration } from "./outcome.ts";

/** The findings, the worst first, each with SQL that does the same safely. */
export function findingsSection({ findings }: Report): Html | null {
  const items = findings.map(
    ({ severity, graded, rule, migration, line, column, message, evidence, rewrite }) =>
      html`<li><p><span class="pill ${severity === "error" && graded !== false ? "bad" : "open"}">${graded === false ? "not graded" : severity}</span> <code>${rule}</code> · ${migration}, line ${line}, column ${column}</p>
<p>${message}${evidence === null ? "" : ` Here ${evidence}.`}</p>
<details><summary>What to write instead</summary><pre tabindex="0"><code>${rewrite}</code></pre></details></li>`,
  );
  return section("findings", "Findings", items);
}

/** The warnings, each with its code. */
export function warningsSection({ warnings }: Report): Html | null {
  const items = warnings.map(
    ({ code, message }) =>
      html`<li><code class="code">${code}</code> <span class="text">${message}</span></li>`,
  );
  return section("warnings", "Warnings", items);
}

/** PostgreSQL's notices. */
export function noticesSection({ notices }: Report): Html | null {
  const items = notices.map(
    ({ severity, message, migration }) =>
      html`<li><span class="note">${severity}${migration === null ? "" : ` · ${migration}`}</span> <span class="text">${message}</span></li>`,
  );
  return section("notices", "Notices", items);
}

function section(id: string, title: string, items: readonly Html[]): Html | null {
  if (items.length === 0) return null;
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2><ul class="list">${items}</ul></section>`;
}

/** The facts of the run: who applied, where transactions ended, and the time of each part. */
export function factsSection(report: Report): Html {
  const { executor, executorReason, cuts, timings, roundTrips, latest, atomic } = report;
  const times = `connect ${duration(timings.connectMs)}, lock ${duration(timings.lockMs)}, plan ${duration(timings.planMs)}, execute ${duration(timings.executeMs)}`;
  const facts: readonly (readonly [string, string | null])[] = [
    ["Asked", report.asked === undefined ? null : askedInWords(report.asked)],
    ["By", report.asked?.by == null ? null : callerInWords(report.asked.by)],
    ["Newest applied", latest],
    [
      "Executor",
      executor === null
        ? null
        : `${executor}${executorReason === null ? "" : ` (${executorReason})`}`,
    ],
    ["Transactions", executor === null ? null : atomic ? "one for everything" : "several"],
    ["Time", `${duration(timings.totalMs)}: ${times}`],
    ["Others locked out", executor === null ? null : longestLockout(report)],
    ["Round trips", counted(roundTrips, "round trip")],
    ...cuts.map(
      ({ migration, statement, line, reason }) =>
        [
          "Commit before",
          `${oneLine(migration)}, statement ${statement}, line ${line}: ${reason}`,
        ] as const,
    ),
  ];
  const rows = facts
    .filter(([, text]) => text !== null)
    .map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`);
  return html`<section aria-labelledby="facts"><h2 id="facts">The run</h2><dl class="grid">${rows}</dl></section>`;
}

/** The action and what differs from the defaults, as flags are written: `up, transaction each`. */
function askedInWords({ request: { action, ...others } }: Asked): string {
  const said = Object.entries(others).map(
    ([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  return [action, ...said].join(", ");
}

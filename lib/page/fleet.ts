/*
 * Fleet page: the report of a fleet as one self-contained HTML page, with the policy and the style of the other pages. Only
 * the command line makes it.
 */

import type { FailureGroup, FleetReport } from "../fleet/fleet-report.ts";
import { counted } from "../text.ts";
import { pageOf } from "./document.ts";
import { type Html, html } from "./html.ts";
import { duration, type Outcome } from "./outcome.ts";

/** Says in one sentence how a run of a fleet ended. */
export function fleetOutcomeOf({ status, counts, waves }: FleetReport): Outcome {
  const { total, applied, skipped, upToDate, failed, gone, unknown, pending } = counts;
  const well = applied + skipped + upToDate;
  const missing = [
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(gone === 0 ? [] : [`${gone} gone`]),
    ...(unknown === 0 ? [] : [`${unknown} unknown`]),
    ...(pending === 0 ? [] : [`${pending} not begun`]),
  ];
  const rest = missing.length === 0 ? "" : `: ${missing.join(", ")}`;
  const of = `${well} of ${counted(total, "tenant")} have the newest migration${rest}.`;
  switch (status) {
    case "applied":
      return {
        tone: "good",
        label: "applied",
        sentence:
          gone === 0 ? `${counted(applied, "tenant")} migrated; all ${total} are up to date.` : of,
      };
    case "up-to-date":
      return {
        tone: "good",
        label: "up to date",
        sentence: gone === 0 ? `All ${counted(total, "tenant")} are up to date.` : of,
      };
    case "partial":
      return { tone: "open", label: "partial", sentence: of };
    case "stopped": {
      const over = waves.find(({ overBudget }) => overBudget);
      const where =
        over === undefined ? "Stopped" : `Stopped in wave ${over.name}, over its budget`;
      return { tone: "bad", label: "stopped", sentence: `${where}: ${of}` };
    }
    case "incomplete":
      return {
        tone: "bad",
        label: "incomplete",
        sentence: `Not all results could be found: ${of}`,
      };
    case "failed":
      return { tone: "bad", label: "failed", sentence: `Failed: ${of}` };
  }
}

/** Says how many tenants are ahead of the bundle; null where none is. */
export function aheadOf({ ahead }: Pick<FleetReport, "ahead">): string | null {
  if (ahead === 0) return null;
  return `${counted(ahead, "tenant")} ${ahead === 1 ? "is" : "are"} ahead: with migrations that this bundle does not have.`;
}

/** Says what came of the rehearsal of the canary; null where nobody asked for one. */
export function canaryOf({ canary }: Pick<FleetReport, "canary">): string | null {
  if (canary === undefined) return null;
  const { id, rehearsal } = canary;
  switch (rehearsal) {
    case "passed":
      return `The rehearsal of ${id} passed before it was touched.`;
    case "failed":
      return `The rehearsal of ${id} failed on its branch; ${id} itself was not touched.`;
    case "refused":
      return `The rehearsal of ${id} was over a limit; ${id} itself was not touched.`;
    case null:
      return `The canary ${id} was not rehearsed: it was up to date, its branch could not be had, or nobody knows how its run ended.`;
  }
}

/** Makes the page of a fleet's report: waves, failures by cause, times, versions, and who is behind. */
export function renderFleetPage(report: FleetReport): string {
  const { fleet, run, latest, bundleHash, startedAt, endedAt } = report;
  return pageOf({
    maker: "neon-migrate fleet",
    outcome: fleetOutcomeOf(report),
    place: `fleet ${fleet} · run ${run} · newest migration ${latest ?? "none"}`,
    body: [
      nextSection(report),
      failuresSection(report),
      wavesSection(report),
      versionsSection(report),
      slowestSection(report),
      factsSection(report),
    ],
    foot: html`bundle <code>${bundleHash.slice(0, 12)}</code> · ${startedAt} to ${endedAt}`,
  });
}

function nextSection({ status, next }: FleetReport): Html | null {
  if (status === "applied" || status === "up-to-date") return null;
  return html`<section class="failure" aria-labelledby="next"><h2 id="next">How to go on</h2><pre tabindex="0"><code>${next}</code></pre></section>`;
}

function wavesSection({ waves }: FleetReport): Html | null {
  if (waves.length === 0) return null;
  const rows = waves.map(
    (wave) =>
      html`<tr><th scope="row">${wave.name}</th><td>${wave.count}</td><td>${wave.applied}</td><td>${wave.upToDate}</td><td>${wave.failed}</td><td>${wave.gone}</td><td>${wave.unknown}</td><td>${wave.pending}</td><td>${wave.toleratedCount}${wave.overBudget ? " (over)" : ""}</td></tr>`,
  );
  return html`<section aria-labelledby="waves"><h2 id="waves">Waves</h2><div class="scroll" tabindex="0" role="group" aria-labelledby="waves"><table><thead><tr><th scope="col">wave</th><th scope="col">tenants</th><th scope="col">applied</th><th scope="col">up to date</th><th scope="col">failed</th><th scope="col">gone</th><th scope="col">unknown</th><th scope="col">not begun</th><th scope="col">may fail</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function failuresSection({ failures }: FleetReport): Html | null {
  if (failures.length === 0) return null;
  const items = failures.map(
    (group) =>
      html`<li><p><span class="pill bad">${counted(group.count, "tenant")}</span> <code class="code">${group.code}</code>${placeOf(group)}</p><p class="text">${group.message}</p><p class="note">${group.firstIds.join(", ")}${group.count > group.firstIds.length ? ` and ${group.count - group.firstIds.length} more` : ""}</p></li>`,
  );
  return html`<section aria-labelledby="failures"><h2 id="failures">Failures by cause</h2><ul class="list">${items}</ul></section>`;
}

function placeOf({ sqlstate, migration, statement }: FailureGroup): string {
  const state = sqlstate === null ? "" : ` · SQLSTATE ${sqlstate}`;
  const at = statement === null ? "" : `, statement ${statement}`;
  return `${state}${migration === null ? "" : ` · ${migration}${at}`}`;
}

function versionsSection(report: FleetReport): Html {
  const { versions, behind, fleet } = report;
  const ahead = aheadOf(report);
  const rows = Object.entries(versions).map(
    ([tag, count]) => html`<div><dt>${tag}</dt><dd>${counted(count, "tenant")}</dd></div>`,
  );
  const late =
    behind.count === 0
      ? html`<p>Nobody is behind.</p>`
      : html`<p>${counted(behind.count, "tenant")} behind: <code>s3://${fleet}/${behind.file}</code></p>`;
  return html`<section aria-labelledby="versions"><h2 id="versions">Who has which newest migration</h2><dl class="grid">${rows}</dl>${late}${ahead === null ? null : html`<p>${ahead}</p>`}</section>`;
}

function slowestSection({ slowest }: FleetReport): Html | null {
  if (slowest.length === 0) return null;
  const rows = slowest.map(({ id, ms }) => html`<div><dt>${id}</dt><dd>${duration(ms)}</dd></div>`);
  return html`<section aria-labelledby="slowest"><h2 id="slowest">Slowest</h2><dl class="grid">${rows}</dl></section>`;
}

function factsSection(report: FleetReport): Html {
  const { counts, durations, files, fleet, stoppedBy } = report;
  const canary = canaryOf(report);
  const time = (ms: number | null) => (ms === null ? "–" : duration(ms));
  const facts: readonly (readonly [string, string])[] = [
    ["Tenants", `${counts.total}, of which ${counts.skipped} were known as up to date`],
    [
      "Time of a tenant",
      `half ${time(durations.p50)}, 19 of 20 ${time(durations.p95)}, all ${time(durations.max)}`,
    ],
    ...(canary === null ? [] : [["Canary", canary] as const]),
    ["All tenants", `s3://${fleet}/${files.tenants}`],
    ["Report", `s3://${fleet}/${files.report}`],
    ...(stoppedBy === undefined
      ? []
      : [["Stopped by", `${stoppedBy.error}: ${stoppedBy.cause}`] as const]),
  ];
  const rows = facts.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`);
  return html`<section aria-labelledby="facts"><h2 id="facts">The run</h2><dl class="grid">${rows}</dl></section>`;
}

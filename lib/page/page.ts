/*
 * Page: a report or a status as one self-contained HTML page. A report comes in, with its bundle where somebody has it, and the
 * text of a file goes out. The page needs no network and runs no script. Nothing here asks a database, and every text from
 * outside is escaped (`html.ts`).
 */

import type { Bundle } from "../bundle/bundle.ts";
import { fitReport, withoutStatementTimes } from "../report/fit.ts";
import type { Report } from "../report/report.ts";
import { pageOf } from "./document.ts";
import { failureSection } from "./failure.ts";
import { html } from "./html.ts";
import { factsSection, findingsSection, noticesSection, warningsSection } from "./lists.ts";
import { outcomeOf } from "./outcome.ts";
import { rehearsalSection } from "./rehearsal.ts";
import { Statements } from "./statements.ts";
import { runningSection, timelineSection } from "./timeline.ts";
import { waterfallSection } from "./waterfall.ts";

/** Largest page, in bytes. A load balancer takes 1 MB with everything around it (AWS, "Lambda functions as targets"). */
export const MAX_PAGE_BYTES = 950_000;

/** A report that makes a page of less than that, whatever it holds: escaping makes a text six times as long at the most. */
const SHORT_REPORT_BYTES = 120_000;

/**
 * Makes the page of a report. One that would be too long loses its SQL, then the times of statements, and then the entries
 * that a short report loses.
 * @param bundle the migrations, for their SQL and locks; null where it is not at hand
 */
export function renderPage(report: Report, bundle: Bundle | null): string {
  const tries = [
    () => render(report, bundle),
    () => render(report, null),
    () => render(withoutStatementTimes(report), null),
    () => render(fitReport(report, SHORT_REPORT_BYTES), null),
  ];
  let page = "";
  for (const make of tries) {
    page = make();
    if (Buffer.byteLength(JSON.stringify(page)) <= MAX_PAGE_BYTES) break;
  }
  return page;
}

function render(report: Report, bundle: Bundle | null): string {
  const statements = new Statements(bundle, report);
  const isStatus = report.running !== undefined;
  const body = [
    failureSection(report, bundle),
    rehearsalSection(report),
    isStatus ? runningSection(report) : null,
    isStatus ? timelineSection(report, statements) : waterfallSection(report, statements),
    findingsSection(report),
    warningsSection(report),
    noticesSection(report),
    factsSection(report),
  ];
  return pageOf({
    maker: "neon-migrate",
    outcome: outcomeOf(report),
    place: placeOf(report),
    body,
    foot: html`request <code>${report.requestId}</code>`,
  });
}

function placeOf({ database, ledger }: Report): string {
  if (database === null) return "No database has answered";
  const { name, host, serverVersion, role } = database;
  const place = ledger === null ? "" : ` · ledger ${ledger.schema}.${ledger.table}`;
  return `${name} on ${host} · PostgreSQL ${serverVersion} · as ${role}${place}`;
}

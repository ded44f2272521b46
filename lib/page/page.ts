/*
 * Page: a report or a status as one self-contained HTML page. A report comes in, with its bundle where somebody has it, and the
 * text of a file goes out. The page needs no network and runs no script. Nothing here asks a database, and every text from
 * outside is escaped (`html.ts`).
 */

import { createHash } from "node:crypto";
import type { Bundle } from "../bundle/bundle.ts";
import { fitReport, withoutStatementTimes } from "../report/fit.ts";
import type { Report } from "../report/report.ts";
import { failureSection } from "./failure.ts";
import { Html, html } from "./html.ts";
import { factsSection, findingsSection, noticesSection, warningsSection } from "./lists.ts";
import { outcomeOf } from "./outcome.ts";
import { rehearsalSection } from "./rehearsal.ts";
import { Statements } from "./statements.ts";
import { STYLE } from "./style.ts";
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

/** The policy of a page: its own style, and nothing else, from nowhere. */
export function contentSecurityPolicy(): string {
  const hash = createHash("sha256").update(STYLE).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
}

function render(report: Report, bundle: Bundle | null): string {
  const statements = new Statements(bundle, report);
  const { tone, label, sentence } = outcomeOf(report);
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
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${sentence} neon-migrate</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header><p><span class="pill ${tone}">${label}</span> ${placeOf(report)}</p>
<h1>${sentence}</h1></header>
<main>
${body}
</main>
<footer><p>neon-migrate · request <code>${report.requestId}</code></p></footer>
</body>
</html>
`.markup;
}

function placeOf({ database, ledger }: Report): string {
  if (database === null) return "No database has answered";
  const { name, host, serverVersion, role } = database;
  const place = ledger === null ? "" : ` · ledger ${ledger.schema}.${ledger.table}`;
  return `${name} on ${host} · PostgreSQL ${serverVersion} · as ${role}${place}`;
}

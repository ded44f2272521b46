import { SEVERITIES } from "./findings.ts";
import type { Report } from "./report.ts";

/** Lambda refuses an answer of more than 6 MB (AWS Lambda quotas, invocation payload); room for a wrapping. */
export const MAX_REPORT_BYTES = 5_500_000;

/** How many entries of each list stay. */
const ENTRIES = 100;

/**
 * A report that fits into its caller's limit: as it is, or with its lists cut to 100 entries each and a
 * warning `REPORT_SHORTENED` that says how many there were.
 * @param maxBytes of its JSON, in UTF-8
 */
export function fitReport(report: Report, maxBytes: number = MAX_REPORT_BYTES): Report {
  if (Buffer.byteLength(JSON.stringify(report)) <= maxBytes) return report;
  const { applied, pending, findings, notices, drift, warnings } = report;
  const counts = Object.entries({ applied, pending, findings, notices, warnings, ...drift })
    .filter(([, list]) => list.length > ENTRIES)
    .map(([name, list]) => `${list.length} ${name}`);
  const listed =
    counts.length === 0 ? "" : `: of ${counts.join(", ")} only ${ENTRIES} each are listed`;
  const message = `The report was too long for its caller and was cut${listed}.`;
  return {
    ...report,
    applied: applied.slice(-ENTRIES),
    pending: pending.slice(0, ENTRIES),
    // The worst ones first, each kind in its order.
    findings: SEVERITIES.flatMap((severity) =>
      findings.filter((finding) => finding.severity === severity),
    )
      .slice(0, ENTRIES)
      .map((finding) => ({ ...finding, rewrite: cut(finding.rewrite) })),
    // A notice may be as long as its author likes.
    notices: notices
      .slice(0, ENTRIES)
      .map((notice) => ({ ...notice, message: cut(notice.message) })),
    drift: {
      modified: drift.modified.slice(-ENTRIES),
      unknown: drift.unknown.slice(-ENTRIES),
      outOfOrder: drift.outOfOrder.slice(0, ENTRIES),
    },
    warnings: [
      ...warnings
        .slice(0, ENTRIES)
        .map((warning) => ({ ...warning, message: cut(warning.message) })),
      { code: "REPORT_SHORTENED", message },
    ],
  };
}

function cut(text: string): string {
  return text.length > 1_000 ? `${text.slice(0, 999)}…` : text;
}

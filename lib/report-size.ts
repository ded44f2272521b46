import { SEVERITIES } from "./findings.ts";
import { replaceTexts } from "./redact.ts";
import type { Report } from "./report.ts";

/** Lambda refuses an answer of more than 6 MB (AWS Lambda quotas, invocation payload); room for a wrapping. */
export const MAX_REPORT_BYTES = 5_500_000;

/** How many entries of each list stay, and how many characters of each text; of the error's a few more. */
const ENTRIES = 100;
const TEXT_LENGTH = 1_000;
const ERROR_TEXT_LENGTH = 2_000;

/**
 * A report that fits into its caller's limit: as it is, or with its lists cut to 100 entries each and a
 * warning `REPORT_SHORTENED` that says how many there were.
 * @param maxBytes of its JSON, in UTF-8
 */
export function fitReport(report: Report, maxBytes: number = MAX_REPORT_BYTES): Report {
  if (Buffer.byteLength(JSON.stringify(report)) <= maxBytes) return report;
  const { error, ...rest } = withFewEntries(report);
  const shown = withShortTexts(rest, TEXT_LENGTH);
  return error === undefined
    ? shown
    : { ...shown, error: withShortTexts(error, ERROR_TEXT_LENGTH) };
}

function withFewEntries(report: Report): Report {
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
    ).slice(0, ENTRIES),
    notices: notices.slice(0, ENTRIES),
    drift: {
      modified: drift.modified.slice(-ENTRIES),
      unknown: drift.unknown.slice(-ENTRIES),
      outOfOrder: drift.outOfOrder.slice(0, ENTRIES),
    },
    warnings: [...warnings.slice(0, ENTRIES), { code: "REPORT_SHORTENED", message }],
  };
}

/** Whoever wrote a notice, a name or a hash may have made it as long as they liked. */
function withShortTexts<Value>(value: Value, maxLength: number): Value {
  const cut = (text: string) =>
    text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  // The value that comes back has the shape of the one that went in: only texts inside are replaced.
  return replaceTexts(value, cut) as Value;
}

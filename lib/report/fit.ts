import { SEVERITIES } from "../bundle/finding.ts";
import { replaceTexts, shortened } from "../text.ts";
import type { Report } from "./report.ts";

/** Lambda refuses an answer of more than 6 MB (AWS Lambda quotas, invocation payload); room for a wrapping. */
export const MAX_REPORT_BYTES = 5_500_000;

/** How many entries of each list stay: as many as fit. */
const ENTRIES = [100, 25, 5, 0];
/** How many characters of each text stay; of the error's a few more. */
const TEXT_LENGTH = 1_000;
const ERROR_TEXT_LENGTH = 2_000;

/**
 * A report that fits into its caller's limit: as it is, or with its texts cut, its lists to 100 entries each or fewer, and a
 * warning `REPORT_SHORTENED` that says how many there were.
 * @param maxBytes of its JSON, in UTF-8; with all lists empty it has a few thousand, and 100,000 at the most
 */
export function fitReport(report: Report, maxBytes: number = MAX_REPORT_BYTES): Report {
  let fitted = report;
  for (const entries of ENTRIES) {
    if (Buffer.byteLength(JSON.stringify(fitted)) <= maxBytes) break;
    fitted = cutReport(report, entries);
  }
  return fitted;
}

function cutReport(report: Report, entries: number): Report {
  const { error, ...rest } = withFewEntries(report, entries);
  const shown = withShortTexts(rest, TEXT_LENGTH);
  return error === undefined
    ? shown
    : { ...shown, error: withShortTexts(error, ERROR_TEXT_LENGTH) };
}

function withFewEntries(report: Report, entries: number): Report {
  const { applied, pending, findings, notices, drift, warnings } = report;
  const counts = Object.entries({ applied, pending, findings, notices, warnings, ...drift })
    .filter(([, list]) => list.length > entries)
    .map(([name, list]) => `${list.length} ${name}`);
  const listed =
    counts.length === 0 ? "" : `: of ${counts.join(", ")} only ${entries} each are listed`;
  const message = `The report was too long for its caller and was cut${listed}.`;
  return {
    ...report,
    applied: lastOf(applied, entries),
    pending: pending.slice(0, entries),
    // The worst ones first, each kind in its order.
    findings: SEVERITIES.flatMap((severity) =>
      findings.filter((finding) => finding.severity === severity),
    ).slice(0, entries),
    notices: notices.slice(0, entries),
    drift: {
      modified: lastOf(drift.modified, entries),
      unknown: lastOf(drift.unknown, entries),
      outOfOrder: drift.outOfOrder.slice(0, entries),
    },
    warnings: [...warnings.slice(0, entries), { code: "REPORT_SHORTENED", message }],
  };
}

function lastOf<Entry>(list: readonly Entry[], count: number): readonly Entry[] {
  return list.slice(Math.max(list.length - count, 0));
}

/** Whoever wrote a notice, a name or a hash may have made it as long as they liked. */
function withShortTexts<Value>(value: Value, maxLength: number): Value {
  const cut = (text: string) => shortened(text, maxLength);
  // The value that comes back has the shape of the one that went in: only texts inside are replaced.
  return replaceTexts(value, cut) as Value;
}

import { SEVERITIES } from "../bundle/finding.ts";
import { replaceTexts, shortened } from "../text.ts";
import type { Rehearsal } from "./rehearsed.ts";
import type { Report } from "./report.ts";

/**
 * Largest report, in bytes. Lambda refuses an answer of more than 6 MB (AWS Lambda quotas, invocation payload); the
 * rest is room for a wrapping.
 */
export const MAX_REPORT_BYTES = 5_500_000;

/** Numbers of entries that may stay in each list. The first that makes the report fit is taken. */
const ENTRIES = [100, 25, 5, 0];
/** Number of characters that stay of each text. The error keeps a few more. */
const TEXT_LENGTH = 1_000;
const ERROR_TEXT_LENGTH = 2_000;

/**
 * Makes a report fit into its caller's limit. A report that fits stays as it is. Of a longer one the texts are cut
 * and the lists keep 100 entries each or fewer, and a warning `REPORT_SHORTENED` says how many there were.
 * @param maxBytes of its JSON, in UTF-8. With all lists empty the JSON has a few thousand bytes, and 100,000 at the
 *   most
 */
export function fitReport(report: Report, maxBytes: number = MAX_REPORT_BYTES): Report {
  const isShort = (each: Report) => Buffer.byteLength(JSON.stringify(each)) <= maxBytes;
  if (isShort(report)) return report;
  let fitted = withoutStatementTimes(report);
  for (const entries of ENTRIES) {
    if (isShort(fitted)) break;
    fitted = cutReport(report, entries);
  }
  return fitted;
}

/** Leaves out the times of single statements. They are the first to go: a reader misses them least. */
export function withoutStatementTimes(report: Report): Report {
  const { applied, pending, warnings, rehearsal } = report;
  const message =
    "The report was too long for its caller: the times of single statements were left out.";
  const untimed = <Timed extends { statementMs?: unknown }>(list: readonly Timed[]) =>
    list.map(({ statementMs: _, ...rest }) => rest);
  return {
    ...report,
    applied: untimed(applied),
    pending: untimed(pending),
    ...(rehearsal ? { rehearsal: { ...rehearsal, applied: untimed(rehearsal.applied) } } : {}),
    warnings: [...warnings, { code: "REPORT_SHORTENED", message }],
  };
}

function cutReport(report: Report, entries: number): Report {
  const { error, ...rest } = withFewEntries(report, entries);
  const shown = withShortTexts(rest, TEXT_LENGTH);
  return error === undefined
    ? shown
    : { ...shown, error: withShortTexts(error, ERROR_TEXT_LENGTH) };
}

function withFewEntries(report: Report, entries: number): Report {
  const { applied, pending, findings, notices, drift, warnings, steps, rehearsal } = report;
  const lists = { applied, pending, findings, notices, warnings, ...drift };
  const counts = Object.entries({ ...lists, ...rehearsalLists(rehearsal) })
    .filter(([, list]) => list.length > entries)
    .map(([name, list]) => `${list.length} ${name}`);
  const listed =
    counts.length === 0 ? "" : `: of ${counts.join(", ")} only ${entries} each are listed`;
  const message = `The report was too long for its caller and was cut${listed}.`;
  return {
    ...report,
    applied: lastOf(applied, entries),
    pending: pending.slice(0, entries),
    // The worst findings come first, those of each severity in their order.
    findings: SEVERITIES.flatMap((severity) =>
      findings.filter((finding) => finding.severity === severity),
    ).slice(0, entries),
    notices: notices.slice(0, entries),
    ...(steps === undefined ? {} : { steps: [] }),
    ...(rehearsal ? { rehearsal: cutRehearsal(rehearsal, entries) } : {}),
    drift: {
      modified: lastOf(drift.modified, entries),
      unknown: lastOf(drift.unknown, entries),
      outOfOrder: drift.outOfOrder.slice(0, entries),
    },
    warnings: [...warnings.slice(0, entries), { code: "REPORT_SHORTENED", message }],
  };
}

/** The lists of a rehearsal, by their names in the report. */
function rehearsalLists(
  rehearsal: Report["rehearsal"],
): Readonly<Record<string, readonly unknown[]>> {
  if (!rehearsal) return {};
  const { applied, standstills, rewrites, statements, findings } = rehearsal;
  const lists = Object.entries({ applied, standstills, rewrites, statements, findings });
  return Object.fromEntries(lists.map(([name, list]) => [`rehearsal.${name}`, list]));
}

/** Keeps the worst of each list. The longest standstills come first anyway. */
function cutRehearsal(rehearsal: Rehearsal, entries: number): Rehearsal {
  const { applied, standstills, rewrites, statements, findings } = rehearsal;
  const slowest = new Set(statements.toSorted((one, other) => other.ms - one.ms).slice(0, entries));
  return {
    ...rehearsal,
    applied: lastOf(applied, entries),
    standstills: standstills.slice(0, entries),
    rewrites: rewrites.toSorted((one, other) => other.bytes - one.bytes).slice(0, entries),
    statements: statements.filter((each) => slowest.has(each)),
    findings: findings
      .toSorted((one, other) => Number(other.seen) - Number(one.seen))
      .slice(0, entries),
  };
}

function lastOf<Entry>(list: readonly Entry[], count: number): readonly Entry[] {
  return list.slice(Math.max(list.length - count, 0));
}

/** Shortens every text in a value: a notice, a name or a hash from outside can have any length. */
function withShortTexts<Value>(value: Value, maxLength: number): Value {
  const cut = (text: string) => shortened(text, maxLength);
  // The result has the shape of the value: only texts inside are replaced.
  return replaceTexts(value, cut) as Value;
}

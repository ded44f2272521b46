import { MigratorError } from "../../lib/errors.ts";
import { asRecord, asText, isRecord } from "../../lib/json.ts";
import { buildReport, type Report } from "../../lib/report/report.ts";
import { quoted } from "../../lib/text.ts";
import { isReport, lastJson } from "../invoke/report-in-answer.ts";

/** The fields of an object that must be there, with a value of the kind that is shown for each. */
type Shape = Readonly<Record<string, string | number | readonly unknown[]>>;

const FINDING = {
  ...{ rule: "", severity: "", migration: "", message: "", rewrite: "" },
  ...{ statement: 0, line: 0, column: 0 },
};

/** The lists of a report, with the shape of each entry. */
const LISTS: Readonly<Record<string, Shape>> = {
  applied: { tag: "", hash: "", when: 0, statements: 0 },
  pending: { tag: "", hash: "", when: 0, statements: 0, done: 0, reasons: [] },
  findings: FINDING,
  warnings: { code: "", message: "" },
  notices: { severity: "", message: "" },
  waits: { startedMs: 0, durationMs: 0, blockedBy: [] },
  stalls: { startedMs: 0, durationMs: 0, sessions: 0, longestMs: 0, examples: [] },
  lockouts: { migration: "", statement: 0, startedMs: 0 },
  cuts: { migration: "", statement: 0, line: 0, reason: "" },
};
const DRIFTS: Readonly<Record<string, Shape>> = {
  modified: { tag: "" },
  unknown: { hash: "" },
  outOfOrder: { tag: "" },
};
const TIMES: Shape = { totalMs: 0, connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 };
const ERROR: Shape = { code: "", message: "" };
const PLACE: Shape = { index: 0, line: 0, column: 0, excerpt: "" };

/**
 * Finds the report in a text: itself, the payload of a function that failed, a queued run, or the last line of a stream. A
 * field that a report of an earlier version has not gets its empty value.
 * @throws MigratorError `REPORT_INVALID`
 */
export function readReport(text: string, file: string): Report {
  const value = lastJson(text.replace(/^\ufeff/, ""));
  const { report = value, errorMessage } = Object(value);
  const found = [report, lastJson(asText(errorMessage))].find(isReport);
  if (found === undefined) throw invalid(file, "it holds no report");
  const { requestId, status, ...facts } = found;
  // An earlier version did not know how long it had locked others out.
  const lockedOutMs = facts.lockedOutMs ?? null;
  const whole: Report = { ...buildReport(requestId, "planned", facts), status, lockedOutMs };
  const wrong = wrongIn(whole);
  if (wrong !== undefined) throw invalid(file, `its ${wrong} is not that of a report`);
  return whole;
}

function wrongIn(report: Report): string | undefined {
  const { timings, drift, error, ...fields } = asRecord(report);
  const list = wrongList(fields, LISTS) ?? wrongList(asRecord(drift), DRIFTS);
  const time = wrongField(timings, TIMES);
  return list ?? time ?? (isError(error, report.status === "failed") ? undefined : "error");
}

function wrongList(
  fields: Readonly<Record<string, unknown>>,
  lists: Readonly<Record<string, Shape>>,
): string | undefined {
  const found = Object.entries(lists).find(([name, shape]) => {
    const list = fields[name];
    return !Array.isArray(list) || list.some((each) => wrongField(each, shape) !== undefined);
  });
  return found?.[0];
}

function wrongField(value: unknown, shape: Shape): string | undefined {
  const fields = asRecord(value);
  return Object.entries(shape).find(([name, like]) => !isLike(fields[name], like))?.[0];
}

function isLike(value: unknown, like: Shape[string]): boolean {
  return Array.isArray(like) ? Array.isArray(value) : typeof value === typeof like;
}

/** A run that failed has an error, and no other run has one. */
function isError(error: unknown, hasFailed: boolean): boolean {
  if (!hasFailed || !isRecord(error)) return hasFailed === isRecord(error);
  const { statement } = error;
  const isPlaced = statement == null || wrongField(statement, PLACE) === undefined;
  return isPlaced && wrongField(error, ERROR) === undefined;
}

function invalid(file: string, why: string): MigratorError {
  return new MigratorError(
    "REPORT_INVALID",
    `${quoted(file)} cannot be shown: ${why}. Name what up, plan, status or invoke has printed with --json.`,
  );
}

import { MigratorError } from "../../lib/errors.ts";
import { asRecord, asText, isRecord } from "../../lib/json.ts";
import { buildReport, type Report } from "../../lib/report/report.ts";
import { quoted } from "../../lib/text.ts";
import { isReport, lastJson } from "../invoke/report-in-answer.ts";

/** The parts of a report that must be there, by what they hold. */
const LISTS = ["applied", "pending", "findings", "warnings", "notices", "cuts"];
const OBJECTS = ["drift", "timings"];
const TIMES = ["totalMs", "connectMs", "lockMs", "planMs", "executeMs"];
const DRIFTS = ["modified", "unknown", "outOfOrder"];

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
  const whole: Report = { ...buildReport(requestId, "planned", facts), status };
  const wrong = wrongIn(whole);
  if (wrong !== undefined) throw invalid(file, `its ${wrong} is none of a report`);
  return whole;
}

function wrongIn(report: Report): string | undefined {
  const fields = asRecord(report);
  const { timings, drift, error } = fields;
  const list = LISTS.find((name) => !isList(fields[name]));
  const object = OBJECTS.find((name) => !isRecord(fields[name]));
  const time = TIMES.find((name) => typeof asRecord(timings)[name] !== "number");
  const part = DRIFTS.find((name) => !isList(asRecord(drift)[name]));
  const isFailed = report.status === "failed";
  return list ?? object ?? time ?? part ?? (isFailed === isRecord(error) ? undefined : "error");
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isRecord);
}

function invalid(file: string, why: string): MigratorError {
  return new MigratorError(
    "REPORT_INVALID",
    `${quoted(file)} cannot be shown: ${why}. Name what up, plan, status or invoke has printed with --json.`,
  );
}

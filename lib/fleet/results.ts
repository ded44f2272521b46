import { asRecord, asText, isCount, parseJson } from "../json.ts";
import { hidePasswords, shortened } from "../text.ts";
import type { TenantLine } from "./fleet-report.ts";

/** One record of a result file, as Step Functions writes it: JSON in texts. */
type ResultRecord = Readonly<Record<string, unknown>>;

/** The end of one child, with what decides between several attempts at it. */
export interface ChildEnd {
  readonly line: Omit<TenantLine, "wave">;
  /** Whether it came to an end of its own: it was neither aborted nor left over. */
  readonly isThrough: boolean;
  /** Whether the map counts it against its budget. */
  readonly isFailure: boolean;
  readonly attempt: number;
  /** Epoch ms; 0 for one that never ended. */
  readonly stoppedAt: number;
}

/** The errors behind which the call may have gone on, or ended somewhere in between. */
const UNCERTAIN =
  /^(?:States\.(?:Timeout|HeartbeatTimeout|TaskFailed|DataLimitExceeded|QueryEvaluationError)|Lambda\.(?!TooManyRequests)|Sandbox\.|Runtime\.)/;

const MAX_MESSAGE = 300;
const MAX_CODE = 60;

/**
 * Reads a result file. A record that names no tenant has an empty id: it counts in the budget of its wave, and its tenant is
 * one without a result.
 * @returns null where it is no list of records
 */
export function readRecords(text: string): readonly ChildEnd[] | null {
  const whole = parseJson(text);
  const records = Array.isArray(whole) ? whole : text.split("\n").filter(Boolean).map(parseJson);
  return records.every(isResult) ? records.map(childEnd) : null;
}

function isResult(record: unknown): record is ResultRecord {
  return asText(asRecord(record).Status) !== "";
}

/** The input names the tenant. Step Functions leaves one out that is too long; then the output may name it. */
function childEnd(record: ResultRecord): ChildEnd {
  const input = asRecord(parseJson(asText(record.Input)));
  const output = asRecord(parseJson(asText(record.Output)));
  const id = asText(asRecord(input.target).id) || asText(output.id);
  const status = asText(record.Status);
  const isFailure = status === "FAILED" || status === "TIMED_OUT";
  return {
    line: { id, ...endOf(record, status) },
    ...{ isFailure, isThrough: isFailure || status === "SUCCEEDED" },
    attempt: isCount(record.RedriveCount) ? record.RedriveCount : 0,
    stoppedAt: timeOf(record.StopDate),
  };
}

function endOf(record: ResultRecord, status: string): Omit<TenantLine, "wave" | "id"> {
  if (status === "SUCCEEDED") return succeeded(asRecord(parseJson(asText(record.Output))));
  if (status === "FAILED" || status === "TIMED_OUT") return failed(record);
  return { status: status === "ABORTED" ? "unknown" : "pending" };
}

function succeeded({
  status,
  applied,
  latest,
  ahead,
  rehearsal,
  ms,
}: ResultRecord): Omit<TenantLine, "wave" | "id"> {
  const known = status === "applied" || status === "up-to-date" || status === "gone";
  return {
    status: known ? status : "unknown",
    ...(isCount(applied) ? { applied } : {}),
    ...(typeof latest === "string" || latest === null ? { latest } : {}),
    ...aheadIn(ahead),
    ...rehearsalIn(rehearsal),
    ...(isCount(ms) ? { ms } : {}),
  };
}

/** The function's error has a line for people, and behind it the report. Step Functions may have cut either. */
function failed(record: ResultRecord): Omit<TenantLine, "wave" | "id"> {
  const cause = asText(record.Cause);
  const code = shortened(asText(record.Error) || "States.Timeout", MAX_CODE);
  const said = asText(asRecord(parseJson(cause)).errorMessage) || cause;
  const [sentence = "", ...rest] = said.split("\n");
  const report = asRecord(parseJson(rest.join("\n")));
  const error = asRecord(report.error);
  const { index } = asRecord(error.statement);
  const { totalMs } = asRecord(report.timings);
  const { unknown } = asRecord(report.drift);
  // The report's own sentence for those who may not see data; without it, nothing tells whether the line quotes any.
  const words = asText(error.publicMessage) || (UNCERTAIN.test(code) ? sentence : "");
  return {
    status: statusOfError(code),
    code,
    sqlstate: asText(error.sqlstate) || null,
    migration: asText(error.migration) || null,
    statement: isCount(index) ? index : null,
    message: shortened(hidePasswords(words), MAX_MESSAGE),
    ...rehearsalIn(asRecord(report.rehearsal).status),
    ...aheadIn(Array.isArray(unknown) ? unknown.length : 0),
    ...(isCount(totalMs) ? { ms: totalMs } : {}),
  };
}

function aheadIn(count: unknown): Pick<TenantLine, "ahead"> {
  return isCount(count) && count > 0 ? { ahead: count } : {};
}

function rehearsalIn(status: unknown): Pick<TenantLine, "rehearsal"> {
  const found = (["passed", "failed", "refused"] as const).find((each) => each === status);
  return found === undefined ? {} : { rehearsal: found };
}

function statusOfError(code: string): TenantLine["status"] {
  if (code === "TARGET_GONE") return "gone";
  return UNCERTAIN.test(code) ? "unknown" : "failed";
}

/** Step Functions writes ISO texts into result files; an SDK gives numbers of milliseconds. */
function timeOf(value: unknown): number {
  if (typeof value === "number") return value;
  const time = Date.parse(asText(value));
  return Number.isNaN(time) ? 0 : time;
}

/**
 * Leaves one end of each tenant: the last attempt. A redriven map lists the failure of the last attempt, and the successes of
 * all of them.
 */
export function lastEnds(ends: readonly ChildEnd[]): ReadonlyMap<string, ChildEnd> {
  const last = new Map<string, ChildEnd>();
  for (const [index, end] of ends.entries()) {
    // No id has a character that cannot be seen.
    const key = end.line.id || `\0${index}`;
    const known = last.get(key);
    if (known === undefined || isLater(end, known)) last.set(key, end);
  }
  return last;
}

function isLater(end: ChildEnd, known: ChildEnd): boolean {
  if (end.stoppedAt !== known.stoppedAt) return end.stoppedAt > known.stoppedAt;
  return end.attempt > known.attempt;
}

import { ERROR_CODES, type ErrorCode, MigratorError } from "../../lib/errors.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import type { FunctionAnswer } from "./call-function.ts";
import { lookWith } from "./errors.ts";

/** Lambda's own words for a function that ended without an answer, or whose answer it did not take. */
const UNFINISHED =
  /^(?:Runtime\.ExitError|Sandbox\.\w+|Runtime\.OutOfMemory|Function\.ResponseSizeTooLarge)$/;
/** Lambda's message for a time-out, from the time before it had an error type. */
const TIMED_OUT = /Task timed out after [\d.]+ seconds$/;
const MAX_SHOWN = 300;

/**
 * Finds the report in a function's answer: returned, thrown, or sent as the last line of a stream.
 * @throws MigratorError `RUN_UNKNOWN` where the function did not finish, `FUNCTION_FOREIGN` for a function of others
 */
export function reportIn(answer: FunctionAnswer, functionName: string): Report {
  const value = lastJson(answer.payload);
  // A line of a stream holds the report under a name, even where Lambda says that the stream failed.
  const { report = value } = Object(value);
  if (isReport(report)) return report;
  if (answer.error === null)
    throw cutOffOrForeign(functionName, `answered ${shown(answer.payload)}`, value);
  const { code, details } = answer.error;
  const said = lastJson(details);
  const { errorType = code, errorMessage = details } = Object(said);
  const [type, message] = [String(errorType), String(errorMessage)];
  const thrown = lastJson(message);
  if (isReport(thrown)) return thrown;
  if (isOurs(type)) {
    return failedReport(answer.requestId, new MigratorError(type, firstLine(message)));
  }
  throw UNFINISHED.test(type) || TIMED_OUT.test(message)
    ? unknown(functionName, `did not finish (${type}: ${shown(message)}).`)
    : cutOffOrForeign(functionName, `failed with ${type}: ${shown(message)}`, said);
}

/** Tells a cut-off answer from that of a foreign function: answers are JSON, and our streams end in a report. */
function cutOffOrForeign(functionName: string, what: string, value: unknown): MigratorError {
  return value === undefined || Object(value).type === "progress"
    ? unknown(functionName, `may be running still: it ${what}, which is no whole answer.`)
    : foreign(functionName, `It ${what}`);
}

function unknown(functionName: string, how: string): MigratorError {
  return new MigratorError(
    "RUN_UNKNOWN",
    `The function ${functionName} ${how} ${lookWith(functionName)}`,
    { retryable: true },
  );
}

/** Reads the whole text as JSON, or else its last line. */
export function lastJson(text: string): unknown {
  for (const each of [text, text.trimEnd().split("\n").at(-1) ?? ""]) {
    try {
      return JSON.parse(each);
    } catch {
      // The next text may be JSON.
    }
  }
  return undefined;
}

/** Whether a value looks like a report of ours. */
export function isReport(value: unknown): value is Report {
  const { schemaVersion, status, requestId, timings } = Object(value);
  return (
    schemaVersion === 1 &&
    typeof status === "string" &&
    typeof requestId === "string" &&
    timings !== undefined
  );
}

function isOurs(type: string): type is ErrorCode {
  return ERROR_CODES.some((code) => code === type);
}

function foreign(functionName: string, what: string): MigratorError {
  return new MigratorError(
    "FUNCTION_FOREIGN",
    `${functionName} gave no report, so it is not this migrator, or cannot be loaded. ${what}`,
  );
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function shown(text: string): string {
  if (text === "") return "nothing";
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

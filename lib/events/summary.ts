import type { Report } from "../report/report.ts";
import { shortened } from "../text.ts";
import type { InvocationContext } from "./caller.ts";

/** Classes whose messages may quote a value of a row: data exceptions, and what a function raises. */
const QUOTES_VALUES = /^(22|P0|XX)/;

/** As long as a file's name may be on most systems. */
const MAX_TAG_LENGTH = 255;

/**
 * What a deployment may read of a run: CloudFormation's attributes, CodePipeline's output variables.
 * Always the same keys: a `Fn::GetAtt` on a missing one fails the whole stack.
 * @param report null when nothing was asked for
 */
export function attributesOf(
  report: Report | null,
  context: InvocationContext,
): Readonly<Record<string, string>> {
  return {
    status: report?.status ?? "skipped",
    appliedCount: String(report?.applied.length ?? 0),
    pendingCount: String(report?.pending.length ?? 0),
    latest: (report?.latest ?? "").slice(0, MAX_TAG_LENGTH),
    executor: report?.executor ?? "",
    ahead: String((report?.drift.unknown.length ?? 0) > 0),
    requestId: context.awsRequestId,
  };
}

/**
 * A failure in one sentence without data values, because more people may see a deployment than a
 * database; and where the report is.
 * @param maxLength of the sentence, in characters; what says where the report is comes on top
 */
export function reasonOf(
  report: Report,
  { awsRequestId }: InvocationContext,
  maxLength: number,
): string {
  const { error } = report;
  if (error === undefined) return "INTERNAL";
  const hidesMessage = error.sqlstate !== null && QUOTES_VALUES.test(error.sqlstate);
  const where =
    error.statement === null
      ? ""
      : `, statement ${error.statement.index} (line ${error.statement.line})`;
  const sentence = hidesMessage
    ? `Migration ${error.migration ?? ""}${where} was refused with SQLSTATE ${error.sqlstate}.`
    : error.message;
  const shown = shortened(sentence.replace(/\s+/g, " "), maxLength);
  return `${error.code}: ${shown} The report is in the function's log, request ${awsRequestId}.`;
}

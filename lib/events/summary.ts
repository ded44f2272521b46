import type { Report } from "../report/report.ts";
import { oneLine, shortened } from "../text.ts";
import type { InvocationContext } from "./caller.ts";

/** The longest name of a file on most systems. */
const MAX_TAG_LENGTH = 255;

/**
 * Returns the facts of a run that a deployment may read: CloudFormation's attributes, CodePipeline's output variables.
 * The keys are always the same: a `Fn::GetAtt` on a missing one fails the whole stack.
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
    latest: shortened(oneLine(report?.latest ?? ""), MAX_TAG_LENGTH),
    executor: report?.executor ?? "",
    ahead: String((report?.drift.unknown.length ?? 0) > 0),
    requestId: context.awsRequestId,
  };
}

/**
 * Tells a failure in one sentence, and the place of its report in another. The sentence has no values of rows, because
 * more people may see a deployment than a database.
 * @param maxLength of the first sentence, in characters
 */
export function reasonOf(
  report: Report,
  { awsRequestId }: InvocationContext,
  maxLength: number,
): string {
  const { error } = report;
  if (error === undefined) return "INTERNAL";
  const said = [error.publicMessage, ...(error.advice === null ? [] : [error.advice])].join(" ");
  const shown = shortened(oneLine(said.replace(/\s+/g, " ")), maxLength);
  return `${error.code}: ${shown} The report is in the function's log, request ${awsRequestId}.`;
}

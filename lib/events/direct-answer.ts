import { MigratorError } from "../errors.ts";
import { fitReport } from "../report/fit.ts";
import type { Report } from "../report/report.ts";
import { oneLine, printableJson, shortened } from "../text.ts";

/** Lambda's own limit for an answer is 6 MB; an error message is read by people. */
const MAX_MESSAGE_LENGTH = 200_000;

/**
 * The largest error of a tenant, in characters of the JSON with the message in it: Step Functions takes 32,768 as the cause
 * of a failure. The rest is room for the names around it.
 */
const MAX_CAUSE_LENGTH = 32_000;

/** The lengths at which a tenant's report is tried. Thousands of them stand in one file; the whole report is in the log. */
const REPORT_BYTES = [5_000, 4_000];

/** Makes the error, of which Lambda passes on name and message: a line for people, and behind it the report. */
export function failure(report: Report): MigratorError {
  // The sentence stands in the report once more: together they must not be too long.
  const text =
    report.target === null ? textOf(report, MAX_MESSAGE_LENGTH / 2) : textOfTenant(report);
  const failed = new MigratorError(report.error?.code ?? "INTERNAL", text);
  // A stack says nothing about a migration, and Lambda would log it.
  failed.stack = "";
  return failed;
}

function textOf(report: Report, maxBytes: number): string {
  const fitted = fitReport(report, maxBytes);
  return `${lineOf(fitted)}\n${printableJson(fitted)}`;
}

function textOfTenant(report: Report): string {
  const texts = REPORT_BYTES.map((maxBytes) => textOf(report, maxBytes));
  return texts.find((text) => JSON.stringify(text).length <= MAX_CAUSE_LENGTH) ?? shortest(report);
}

/** The parts of a report that a fleet's own report is made of. The whole one is in the function's log. */
function shortest(report: Report): string {
  const { schemaVersion, requestId, target, status, error, rehearsal, timings } = report;
  const { code, publicMessage, migration, statement, sqlstate, retryable } = { ...error };
  const said = {
    ...{
      code,
      publicMessage: shortened(publicMessage ?? "", 2_000),
      migration,
      sqlstate,
      retryable,
    },
    statement: statement == null ? null : { ...statement, excerpt: "" },
  };
  const tried = rehearsal ? { rehearsal: { status: rehearsal.status } } : {};
  const rest = { schemaVersion, requestId, target, status, error: said, ...tried, timings };
  return `${shortened(oneLine(said.publicMessage), 2_000)}\n${printableJson(rest)}`;
}

function lineOf({ error }: Report): string {
  return oneLine(error?.message ?? "The run failed.");
}

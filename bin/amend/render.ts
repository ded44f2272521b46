import type { Colors } from "picocolors/types.js";
import type { Amendment } from "../../lib/amend/amend.ts";
import type { Report } from "../../lib/report/report.ts";
import { counted } from "../../lib/text.ts";
import { renderError } from "../render/error.ts";
import type { RenderOptions } from "../render/options.ts";
import { indented, lineTexts, printableTexts } from "../render/printable.ts";
import { renderHeading, warningLines } from "../render/report.ts";
import { wrapped } from "../render/wrap.ts";

/** Renders an amendment for a person: one line per change, written or only shown, and the next step. Pure. */
export function renderAmendment(amendment: Amendment, colors: Colors, width?: number): string {
  const prose = (text: string) => wrapped(text, width);
  const { changes } = printableTexts(amendment);
  const mark = amendment.written ? colors.green("✓") : colors.yellow("·");
  return [
    ...renderHeading(lineTexts(amendment), colors).map(prose),
    ...changes.map(({ summary }) => prose(`${mark} ${indented(summary)}`)),
    ...warningLines(amendment.warnings, colors).map(prose),
    outcome(amendment, colors),
  ].join("\n");
}

function outcome({ changes, written }: Amendment, colors: Colors): string {
  if (changes.length === 0) {
    return colors.green("There is nothing to write: the ledger is as it should be.");
  }
  return written
    ? colors.green(`Written: ${counted(changes.length, "change")}, in one transaction.`)
    : colors.yellow("Nothing was written. Repeat with --yes to write it.");
}

/** Renders a failure as text for a person. Pure. */
export function renderAmendmentFailure(
  report: Report,
  options: Pick<RenderOptions, "folder" | "colors" | "width">,
): string {
  const { error } = report;
  const { colors } = options;
  if (error === undefined) return "";
  return [
    ...renderError(report, error, { action: "plan", bundle: null, ...options }),
    colors.red(colors.bold(`Failed.${lasting(error.code)}`)),
  ].join("\n");
}

/** Failures that may come behind a COMMIT whose answer was lost: then only the ledger knows. */
const UNSETTLED: readonly string[] = ["CONNECTION_LOST", "DEADLINE", "INTERRUPTED", "INTERNAL"];

/** Says whether the changes last. */
function lasting(code: string): string {
  return UNSETTLED.includes(code)
    ? " Repeat it without --yes: it shows what is left to write."
    : " Nothing was written.";
}

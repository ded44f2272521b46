import type { Colors } from "picocolors/types.js";
import type { Amendment } from "../../lib/amend/amend.ts";
import type { Report } from "../../lib/report/report.ts";
import { counted, oneLine } from "../../lib/text.ts";
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
    ...comparedLines(amendment).map(prose),
    outcome(amendment, colors),
  ].join("\n");
}

/** Number of tables that the text names. */
const MAX_NAMED = 10;

/** Says what a baseline has compared with the database, and what nobody has. */
function comparedLines({ foundTables }: Amendment): readonly string[] {
  if (foundTables === undefined) return [];
  const names = printableTexts(foundTables.slice(0, MAX_NAMED)).map(oneLine).join(", ");
  const more = foundTables.length - MAX_NAMED;
  const found =
    foundTables.length === 0
      ? "Compared with the database: nothing. These migrations make no table to look for."
      : `Compared with the database: the names of ${counted(foundTables.length, "table")}, all of them there (${names}${more > 0 ? ` and ${more} more` : ""}).`;
  return [
    found,
    "Not compared: columns and their types, indexes, constraints, views, partitions, enums, functions, triggers, policies, data, and the work of DO blocks. Make sure of these yourself.",
  ];
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

import type { Colors } from "picocolors/types.js";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import type { Severity } from "../../lib/bundle/finding.ts";
import { type Excerpt, excerpt, positionAt } from "../../lib/bundle/text-position.ts";
import type { FiledFinding } from "../../lib/compile/filed-findings.ts";
import { counted, oneLine, printable } from "../../lib/text.ts";
import { painter } from "../render/findings.ts";
import { indented, lineTexts, printableTexts } from "../render/printable.ts";
import { warningLines } from "../render/report.ts";
import { wrapped } from "../render/wrap.ts";
import type { CheckResult } from "./result.ts";

/**
 * Renders findings as a compiler does: the line, a caret under the statement, the rewrite, and a count at the end.
 * @param width columns of the terminal. Default: no limit
 */
export function renderFindings(
  result: CheckResult,
  bundle: Bundle,
  colors: Colors,
  width?: number,
): string {
  const prose = (text: string) => wrapped(text, width);
  const blocks = result.findings.map((finding) => renderFinding(finding, bundle, colors, prose));
  return [
    ...warningLines(result.warnings, colors).map(prose),
    ...blocks.map((lines) => `${lines.join("\n")}\n`),
    prose(summary(result, colors)),
  ].join("\n");
}

function renderFinding(
  finding: FiledFinding,
  bundle: Bundle,
  colors: Colors,
  prose: (text: string) => string,
): readonly string[] {
  const { severity, rule, message, file, line, column, evidence, rewrite } =
    printableTexts(finding);
  const gutter = " ".repeat(String(line).length);
  const paint = painter(severity, colors);
  const found = excerptOf(finding, bundle);
  return [
    prose(`${paint(colors.bold(`${severity}[${rule}]`))} ${indented(message)}`),
    `${gutter}${colors.dim("-->")} ${colors.cyan(`${oneLine(file)}:${line}:${column}`)}`,
    ...(found === null
      ? []
      : [
          `${colors.dim(`${line} |`)} ${printable(found.shown)}`,
          `${colors.dim(`${gutter} |`)} ${found.indent}${paint(found.carets)}`,
        ]),
    ...(evidence === null
      ? []
      : [prose(`${colors.dim(`${gutter} =`)} here ${indented(evidence)}`)]),
    `${colors.dim(`${gutter} =`)} instead:`,
    ...rewrite.split("\n").map((each) => `${gutter}     ${colors.green(each)}`),
  ];
}

/** Matches a breakpoint and blanks at the end of a line, which are no part of a statement. */
const BREAKPOINT = /\s*(?:--> statement-breakpoint)?\s*$/;

/** Returns the line of a finding, with carets under the statement's part of the line. */
function excerptOf(finding: FiledFinding, { migrations }: Bundle): Excerpt | null {
  const migration = migrations.find(({ tag }) => tag === finding.migration);
  const statement = migration?.statements[finding.statement - 1];
  if (migration === undefined || statement === undefined) return null;
  const end = positionAt(migration.sql, statement.end);
  return excerpt(migration.sql, finding, { before: 40, behind: 80, tail: BREAKPOINT, end });
}

function summary({ counts, migrations, database }: CheckResult, colors: Colors): string {
  const where = `in ${counted(migrations.length, "migration")}`;
  const of = lineTexts(database);
  const pending = of === null ? "" : ` pending in ${of.name} on ${of.host}`;
  const total = counts.error + counts.warning + counts.note;
  if (total === 0) return colors.green(`Nothing found ${where}${pending}.`);
  const worst: Severity = counts.error > 0 ? "error" : counts.warning > 0 ? "warning" : "note";
  return painter(worst, colors)(`${countsOf(counts)} ${where}${pending}.`);
}

function countsOf({ error, warning, note }: CheckResult["counts"]): string {
  return [
    ...(error === 0 ? [] : [counted(error, "error")]),
    ...(warning === 0 ? [] : [counted(warning, "warning")]),
    ...(note === 0 ? [] : [counted(note, "note")]),
  ].join(", ");
}

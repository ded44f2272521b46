import type { Colors } from "picocolors/types.js";
import { countFindings, type ReportedFinding, type Severity } from "../../lib/bundle/finding.ts";
import { counted } from "../../lib/text.ts";

/** Renders the findings of a plan or a run: a line for each that is more than a note. */
export function findingLines(
  findings: readonly ReportedFinding[],
  colors: Colors,
): readonly string[] {
  const { note } = countFindings(findings);
  const lines = findings
    .filter(({ severity }) => severity !== "note")
    .map(({ severity, rule, migration, line, column, message, evidence }) => {
      const here = evidence === null ? "" : colors.dim(` (here ${evidence})`);
      return `${painter(severity, colors)(`${severity}[${rule}]`)} ${migration}:${line}:${column} ${message}${here}`;
    });
  if (note === 0) return lines;
  return [
    ...lines,
    colors.dim(
      `${counted(note, "note")}: neon-migrate check shows them, and what to write instead.`,
    ),
  ];
}

export function painter(severity: Severity, colors: Colors): (text: string) => string {
  if (severity === "error") return colors.red;
  return severity === "warning" ? colors.yellow : colors.blue;
}

import type { Colors } from "picocolors/types.js";
import { countFindings, type ReportedFinding, type Severity } from "../../lib/bundle/finding.ts";
import { counted, oneLine } from "../../lib/text.ts";

interface FindingOptions {
  readonly folder: string | null;
  /** Whether something is pending, so that a plan has something to say. */
  readonly isOpen: boolean;
  readonly colors: Colors;
}

/** Renders the findings of a plan or a run: a line for each that is more than a note. */
export function findingLines(
  findings: readonly ReportedFinding[],
  { folder, isOpen, colors }: FindingOptions,
): readonly string[] {
  return [
    ...findings
      .filter(({ severity }) => severity !== "note")
      .map((each) => findingLine(each, colors, placeOf(each))),
    ...noteLines(findings, folder, colors),
    ...ungradedLines(findings, isOpen, colors),
  ];
}

/** Says why findings have no severity: only the catalog can tell it, and a run does not ask. */
function ungradedLines(
  findings: readonly ReportedFinding[],
  isOpen: boolean,
  colors: Colors,
): readonly string[] {
  const shown = findings.some(({ severity, graded }) => graded === false && severity !== "note");
  if (!shown) return [];
  const next = isOpen ? " neon-migrate plan asks it." : "";
  return [
    colors.dim(
      `finding[…]: how serious it is depends on this database, which was not asked.${next}`,
    ),
  ];
}

function placeOf({ migration, line, column }: ReportedFinding): string {
  return ` ${migration}:${line}:${column}`;
}

/**
 * Renders a finding in one line.
 * @param place where it is, with a blank before. Default: it stands below its statement
 */
export function findingLine(finding: ReportedFinding, colors: Colors, place = ""): string {
  const { severity, graded, rule, message, evidence } = finding;
  const here = evidence === null ? "" : colors.dim(` Here ${evidence}.`);
  const label =
    graded === false
      ? colors.blue(`finding[${rule}]`)
      : painter(severity, colors)(`${severity}[${rule}]`);
  return `${label}${place} ${message}${here}`;
}

/** Names the rules of the notes: they are about the schema's future, not about this run. */
export function noteLines(
  findings: readonly ReportedFinding[],
  folder: string | null,
  colors: Colors,
): readonly string[] {
  const { note } = countFindings(findings);
  if (note === 0) return [];
  const rules = new Map<string, number>();
  for (const { rule, severity } of findings) {
    if (severity === "note") rules.set(rule, (rules.get(rule) ?? 0) + 1);
  }
  const named = [...rules].map(([rule, count]) => (count === 1 ? rule : `${rule} (${count})`));
  const place = folder === null ? "" : ` --folder ${oneLine(folder)}`;
  return [
    colors.dim(
      `${counted(note, "note")}: ${named.join(", ")}. neon-migrate check${place} shows where, and what to write instead.`,
    ),
  ];
}

export function painter(severity: Severity, colors: Colors): (text: string) => string {
  if (severity === "error") return colors.red;
  return severity === "warning" ? colors.yellow : colors.blue;
}

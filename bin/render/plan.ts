import type { Colors } from "picocolors/types.js";
import type { Migration } from "../../lib/bundle/bundle.ts";
import { locksOf, type StatementLocks } from "../../lib/bundle/statement-locks.ts";
import type { PendingMigration, Report, ReportedStep } from "../../lib/report/report.ts";
import { counted, oneLine, printable } from "../../lib/text.ts";
import { findingLine } from "./findings.ts";
import type { RenderOptions } from "./options.ts";
import { whyCommitted } from "./reasons.ts";
import { highlighted } from "./sql.ts";
import { cutText } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** What the lines of a plan are made from. */
interface Plan {
  readonly report: Omit<Report, "error">;
  readonly options: RenderOptions;
  readonly locks: StatementLocks;
}

/**
 * Renders what a run would do: the statements of each pending migration, what each locks and risks, and where a commit
 * falls between them.
 */
export function planLines(report: Plan["report"], options: RenderOptions): readonly string[] {
  const { pending, steps = [] } = report;
  const migrations = pending.flatMap(({ tag }) => migrationOf(options, tag) ?? []);
  const plan = { report, options, locks: locksOf(migrations, pending) };
  const lines: string[] = [];
  let shown: string | undefined;
  for (const [at, step] of steps.entries()) {
    const before = steps[at - 1];
    if (before !== undefined) lines.push(commitLine(plan, before, step));
    for (const slice of step.slices) {
      if (slice.migration !== shown) lines.push(...heading(plan, slice.migration));
      shown = slice.migration;
      for (const number of slice.statements) lines.push(...statementLines(plan, shown, number));
    }
  }
  if (plan.locks.block) lines.push(options.colors.dim("A lock is kept until the next commit."));
  return lines;
}

/** Returns a migration of the bundle; undefined where no bundle is at hand. @param tag as it is printed */
export function migrationOf({ bundle }: RenderOptions, tag: string): Migration | undefined {
  return bundle?.migrations.find((each) => oneLine(each.tag) === tag);
}

function heading({ report, options }: Plan, tag: string): readonly string[] {
  const { colors } = options;
  const pending = report.pending.find((each) => each.tag === tag);
  if (pending === undefined) return [];
  const remarks = remarksOn(pending, colors, migrationOf(options, tag));
  const size = colors.dim(counted(pending.statements, "statement"));
  return [`${colors.yellow("·")} ${colors.bold(tag)}  ${size}${remarks}`];
}

/** Says what is unusual about a pending migration. */
export function remarksOn(
  { done, statements, reasons }: PendingMigration,
  colors: Colors,
  migration?: Migration,
): string {
  const remarks = [
    ...(done === 0 ? [] : [`HALF APPLIED: ${halfDone({ done, statements }, migration)}`]),
    ...(reasons.includes("out-of-order") ? ["older than the newest applied one"] : []),
    ...(reasons.includes("behind-watermark") ? ["as old as an applied one"] : []),
  ];
  return remarks.map((each) => `  ${colors.yellow(each)}`).join("");
}

/** Says how far a half-applied migration is, and where the next run goes on with it. */
export function halfDone(
  { done, statements }: Pick<PendingMigration, "done" | "statements">,
  migration?: Migration,
): string {
  const { line } = migration?.statements[done] ?? {};
  const place = line === undefined ? "" : ` (line ${line})`;
  const next =
    done < statements
      ? `goes on at statement ${done + 1}${place}`
      : "only its ledger row is missing";
  return `${done} of ${counted(statements, "statement")} done, ${next}`;
}

function commitLine({ report, options }: Plan, before: ReportedStep, step: ReportedStep): string {
  const { colors } = options;
  const why = whyCommitted(before, step, report.cuts, (tag) => migrationOf(options, tag));
  return wrapped(`${colors.cyan("── commit")}${colors.dim(`: ${why}`)}`, options.width);
}

const INDENT = " ".repeat(5);

function statementLines(
  { report, options, locks }: Plan,
  tag: string,
  number: number,
): readonly string[] {
  const { colors, width } = options;
  const statement = migrationOf(options, tag)?.statements[number - 1];
  const findings = report.findings.filter(
    (each) => each.migration === tag && each.statement === number && each.severity !== "note",
  );
  const label = `${String(number).padStart(3)}  `;
  const [first = "", ...rest] = textLines(options, tag, number);
  return [
    ...(statement === undefined ? [] : [`${colors.dim(label)}${first}`]),
    ...rest.map((line) => `${INDENT}${line}`),
    ...locks
      .linesFor(tag, number - 1)
      .map(({ text, blocks }) =>
        wrapped(`${INDENT}${blocks ? colors.yellow(text) : colors.dim(text)}`, width),
      ),
    ...findings.map((each) => wrapped(`${INDENT}${findingLine(each, colors)}`, width)),
  ];
}

function textLines(options: RenderOptions, tag: string, number: number): readonly string[] {
  const { colors, width = Number.POSITIVE_INFINITY, sql = false } = options;
  const migration = migrationOf(options, tag);
  const statement = migration?.statements[number - 1];
  if (migration === undefined || statement === undefined) return [];
  const text = printable(migration.sql.slice(statement.start, statement.end)).replaceAll(
    "\t",
    "  ",
  );
  if (sql) return highlighted(`${text};`, colors).split("\n");
  const [first = "", ...rest] = text.split("\n");
  const shown = rest.length === 0 ? first : `${first.trimEnd()} …`;
  return [cutText(shown, width - INDENT.length)];
}

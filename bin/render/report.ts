import type { Colors } from "picocolors/types.js";
import type { Notice } from "../../lib/connection/connection.ts";
import type { AppliedMigration } from "../../lib/execute/executor.ts";
import type { PendingMigration, Report } from "../../lib/report/report.ts";
import { counted, minuteOf, oneLine, printable } from "../../lib/text.ts";
import { renderError } from "./error.ts";
import { findingLines } from "./findings.ts";
import { forCommand } from "./in-flags.ts";
import type { RenderOptions } from "./options.ts";
import { indented, lineTexts, printableTexts } from "./printable.ts";

/** Renders a report as text for a person: one line per migration, the failing statement, the outcome. */
export function renderReport(raw: Report, options: RenderOptions): string {
  const { colors, action } = options;
  const { error, warnings, notices, ...rest } = raw;
  const report = { ...lineTexts(rest), warnings, notices };
  const { applied, pending } = report;
  const width = Math.max(0, ...[...applied, ...pending].map(({ tag }) => tag.length));
  const lines = [
    ...renderHeading(report, colors),
    ...applied.map((each) => appliedLine(each, width, colors)),
    ...pending.map((each) => pendingLine(each, width, error?.migration ?? null, colors)),
    ...(action === "plan" ? cutLines(report.cuts, colors) : []),
    ...driftLines(report, colors),
    ...(action === "status" ? [] : findingLines(report.findings, colors)),
    ...warningLines(
      warnings.map(({ code, message }) => ({
        code,
        message: forCommand(message, options.folder !== null),
      })),
      colors,
    ),
    ...report.notices.map((notice) => noticeLine(notice, colors)),
    ...(error === undefined ? [] : renderError(raw, error, options)),
    `${outcome(raw, options)}${timing(report, colors)}`,
  ];
  return lines.join("\n");
}

/** Names the database and the ledger; returns nothing where no database answered. */
export function renderHeading(
  { database, ledger }: Pick<Report, "database" | "ledger">,
  colors: Colors,
): readonly string[] {
  if (database === null) return [];
  const { name, host, serverVersion, role } = database;
  const place = ledger === null ? "" : `, ledger ${ledger.schema}.${ledger.table}`;
  return [colors.dim(`${name} on ${host}, PostgreSQL ${serverVersion}, as ${role}${place}`)];
}

function noticeLine({ severity, message, migration }: Notice, colors: Colors): string {
  const of = migration === null ? "" : ` (${oneLine(migration)})`;
  return colors.dim(`${oneLine(severity)}: ${indented(printable(message))}${of}`);
}

/** Renders warnings: a line for each, and more where a message has them. */
export function warningLines(warnings: Report["warnings"], colors: Colors): readonly string[] {
  return printableTexts(warnings).map(
    ({ code, message }) => `${colors.yellow(`! ${code}`)} ${indented(message)}`,
  );
}

function appliedLine(migration: AppliedMigration, width: number, colors: Colors): string {
  const { tag, statements, durationMs } = migration;
  const took = durationMs === null ? "" : `  ${`${durationMs} ms`.padStart(8)}`;
  const size = colors.dim(`${counted(statements, "statement").padEnd(14)}${took}`.trimEnd());
  return `${colors.green("✓")} ${tag.padEnd(width)}  ${size}`;
}

function pendingLine(
  { tag, statements, done, reasons }: PendingMigration,
  width: number,
  failed: string | null,
  colors: Colors,
): string {
  const mark = failed !== null && oneLine(failed) === tag ? colors.red("✗") : colors.yellow("·");
  const why = reasons.length === 0 ? "" : ` (${reasons.join(", ")})`;
  const all = counted(statements, "statement");
  const half = done === 0 ? "pending" : `HALF APPLIED: ${done} of ${all} done`;
  const size = colors.dim(`${all.padEnd(14)}  ${half}${why}`);
  return `${mark} ${tag.padEnd(width)}  ${size}`;
}

const CUT_REASONS: Readonly<Record<string, string>> = {
  "not-transactional": "it commits by itself",
  "transaction-control": "it begins or ends a transaction",
  "new-enum-value": "it uses a value that was added to an enum before it",
  "pending-trigger-events": "constraints wait for the COMMIT before it",
};

/** Says where transactions end, and which statement forces each end. */
function cutLines(cuts: Report["cuts"], colors: Colors): readonly string[] {
  return cuts.map(
    ({ migration, statement, line, reason }) =>
      `${colors.yellow("|")} ${migration}  is cut at statement ${statement} (line ${line}): ${CUT_REASONS[reason] ?? reason}`,
  );
}

function driftLines({ drift, pending }: Report, colors: Colors): readonly string[] {
  const { modified, unknown, outOfOrder } = drift;
  const changed = modified.map(
    ({ tag, ledgerHash, bundleHash }) =>
      `${colors.yellow("~")} ${tag}  was changed after it was applied (hash ${short(ledgerHash)} in the ledger, ${short(bundleHash)} in the folder)`,
  );
  const ahead = unknown.map(({ name, hash, when }) => {
    const made = when === null ? "" : `, made on ${minuteOf(when)}`;
    const row = name === null ? `hash ${short(hash)}${made}` : `${name} (hash ${short(hash)})`;
    return `${colors.yellow("?")} ${row}  is in the ledger, not in the folder`;
  });
  // The plan found them before the run, which may have applied them since.
  const late = outOfOrder
    .filter(({ tag }) => pending.some((each) => each.tag === tag))
    .map(
      ({ tag }) =>
        `${colors.yellow("<")} ${tag}  is pending, and older than the newest applied one`,
    );
  return [...changed, ...ahead, ...late];
}

function short(hash: string): string {
  return `${hash.slice(0, 12)}…`;
}

function outcome(report: Report, { action, colors }: RenderOptions): string {
  const { status, applied, pending, executor, atomic, error } = report;
  const how = atomic ? "in one transaction" : "in several transactions";
  if (status === "failed") {
    const known = error?.code !== "RUN_UNKNOWN";
    return colors.red(colors.bold(known ? "Failed." : "It is not known how it ended."));
  }
  if (status === "applied") {
    return colors.green(`Applied ${counted(applied.length, "migration")} by ${executor}, ${how}.`);
  }
  if (status === "up-to-date") {
    const known = action === "status" ? `, ${counted(applied.length, "migration")} applied` : "";
    return colors.green(`Up to date${known}: nothing is pending.`);
  }
  const would = action === "plan" ? ` Would be applied by ${executor}, ${how}.` : "";
  return colors.yellow(`${counted(pending.length, "migration")} pending.${would}`);
}

function timing({ timings, roundTrips, executorReason, database }: Report, colors: Colors): string {
  const { totalMs, connectMs, lockMs, executeMs } = timings;
  if (database === null) return "";
  const parts = [`connect ${connectMs}`, `lock ${lockMs}`, `execute ${executeMs}`];
  const why = executorReason === null ? "" : ` · not by drizzle: ${executorReason}`;
  const trips = counted(roundTrips, "round trip");
  return colors.dim(` ${totalMs} ms (${parts.join(", ")}) · ${trips}${why}`);
}

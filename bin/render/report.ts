import type { Colors } from "picocolors/types.js";
import type { Notice } from "../../lib/connection/connection.ts";
import type { AppliedMigration } from "../../lib/execute/executor.ts";
import type { Drift } from "../../lib/plan/plan.ts";
import type { PendingMigration, Report } from "../../lib/report/report.ts";
import { counted, oneLine, printable } from "../../lib/text.ts";
import { renderError } from "./error.ts";
import { findingLines, noteLines } from "./findings.ts";
import { forCommand } from "./in-flags.ts";
import type { RenderOptions } from "./options.ts";
import { migrationOf, planLines, remarksOn } from "./plan.ts";
import { indented, lineTexts, printableTexts } from "./printable.ts";
import { whoApplies, whyCut } from "./reasons.ts";
import { minute, rowName, statusLines } from "./status.ts";

/** Renders a report as text for a person: a line for each migration, the failing statement, the outcome. */
export function renderReport(raw: Report, options: RenderOptions): string {
  const { colors, verbose = false, quiet = false } = options;
  const { error, warnings, notices, ...rest } = raw;
  const report = { ...lineTexts(rest), warnings, notices };
  const errorLines = error === undefined ? [] : renderError(raw, error, options);
  if (quiet) return [...warningLines(inFlags(warnings, options), colors), ...errorLines].join("\n");
  const lines = [
    ...(options.isHeaded === true ? [] : renderHeading(report, colors)),
    ...bodyLines(report, error, options),
    ...warningLines(inFlags(warnings, options), colors),
    ...report.notices.map((notice) => noticeLine(notice, colors)),
    ...errorLines,
    outcome(report, error, options),
    ...(verbose ? timing(report, colors) : []),
  ];
  return lines.join("\n");
}

/** Says warnings in the words of the command line. */
function inFlags(warnings: Report["warnings"], { folder }: RenderOptions): Report["warnings"] {
  return warnings.map(({ code, message }) => ({
    code,
    message: forCommand(message, folder !== null),
  }));
}

type Lines = Omit<Report, "error">;

/** Renders what the action asks for. */
function bodyLines(
  report: Lines,
  error: Report["error"],
  options: RenderOptions,
): readonly string[] {
  const { action, colors, folder, bundle } = options;
  const { applied, pending, findings, drift } = report;
  if (action === "status") return statusLines(report, options);
  const width = Math.max(0, ...[...applied, ...pending].map(({ tag }) => tag.length));
  const isPlanned = action === "plan" && bundle !== null && report.steps !== undefined;
  return [
    ...applied.map((each) => appliedLine(each, width, colors)),
    ...(isPlanned
      ? planLines(report, options)
      : pending.map((each) => pendingLine(each, width, error, colors))),
    ...(action === "plan" && !isPlanned ? cutLines(report, options) : []),
    ...aheadLines(drift, colors),
    ...(isPlanned ? noteLines(findings, folder, colors) : findingLines(findings, folder, colors)),
  ];
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
  migration: PendingMigration,
  width: number,
  error: Report["error"],
  colors: Colors,
): string {
  const { tag, statements } = migration;
  const hasFailed = oneLine(error?.migration ?? "") === tag;
  const mark = hasFailed ? colors.red("✗") : colors.yellow("·");
  const size = colors.dim(counted(statements, "statement").padEnd(14));
  const state = hasFailed ? failedAt(error) : "pending";
  const remarks = remarksOn(migration, colors) || `  ${colors.dim(state)}`;
  return `${mark} ${tag.padEnd(width)}  ${size}${remarks}`;
}

function failedAt(error: Report["error"]): string {
  const place = error?.statement ?? null;
  return place === null ? "failed" : `failed at statement ${place.index}`;
}

/** Says where transactions end, and which statement forces each end. */
function cutLines({ cuts }: Pick<Report, "cuts">, options: RenderOptions): readonly string[] {
  return cuts.map((cut) => {
    const why = whyCut(cut, (tag) => migrationOf(options, tag));
    return `${options.colors.cyan("── commit")} before ${cut.migration}:${cut.line}: ${why}`;
  });
}

/** Names the ledger rows that no file explains, with the times by which somebody finds out whose they are. */
function aheadLines({ unknown }: Drift, colors: Colors): readonly string[] {
  return unknown.map((row) => {
    const when = row.when === null ? "" : `, made ${minute(row.when)} UTC`;
    return `${colors.yellow("?")} ${rowName(row)}${when}  is in the ledger, not in the folder`;
  });
}

function outcome(report: Lines, error: Report["error"], options: RenderOptions): string {
  const { action, colors } = options;
  const { status, applied, pending, executor, atomic } = report;
  if (status === "failed") {
    const known = error?.code !== "RUN_UNKNOWN";
    return colors.red(colors.bold(known ? "Failed." : "It is not known how it ended."));
  }
  if (status === "applied") {
    const how = atomic ? "in one transaction" : "in several transactions";
    const verb = executor === "drizzle" ? "by Drizzle's own migrator" : "statement by statement";
    return colors.green(`Applied ${counted(applied.length, "migration")} ${verb}, ${how}.`);
  }
  if (status === "up-to-date") {
    const known = action === "status" ? `, ${counted(applied.length, "migration")} applied` : "";
    return colors.green(`Up to date${known}: nothing is pending.`);
  }
  const all = `${counted(pending.length, "migration")} pending`;
  return colors.yellow(action === "plan" ? `${all}. ${wouldApply(report, options)}` : `${all}.`);
}

/** Says what applies a plan, how many commits it has, and who does it. */
function wouldApply(report: Lines, options: RenderOptions): string {
  const { atomic, steps = [] } = report;
  const commits = atomic ? "one transaction" : counted(steps.length, "transaction");
  const how = steps.length === 0 && !atomic ? "several transactions" : commits;
  const who = whoApplies(report, (tag) => migrationOf(options, tag));
  return `neon-migrate up would apply ${report.pending.length === 1 ? "it" : "them"} in ${how}, ${who}.`;
}

function timing({ timings, roundTrips, database }: Lines, colors: Colors): readonly string[] {
  const { totalMs, connectMs, lockMs, executeMs } = timings;
  if (database === null) return [];
  const parts = [`connect ${connectMs}`, `lock ${lockMs}`, `execute ${executeMs}`];
  const trips = counted(roundTrips, "round trip");
  return [colors.dim(`${totalMs} ms (${parts.join(", ")}) · ${trips}`)];
}

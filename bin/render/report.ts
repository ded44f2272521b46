import type { Colors } from "picocolors/types.js";
import type { Notice } from "../../lib/connection/connection.ts";
import type { AppliedMigration } from "../../lib/execute/executor.ts";
import { lockoutSentence, longestLockout } from "../../lib/page/lockouts.ts";
import type { Drift } from "../../lib/plan/plan.ts";
import type { PendingMigration, Report } from "../../lib/report/report.ts";
import { counted, oneLine, printable } from "../../lib/text.ts";
import { took } from "./elapsed.ts";
import { isRefusal, renderError } from "./error.ts";
import { findingLines, noteLines } from "./findings.ts";
import { forCommand } from "./in-flags.ts";
import { columnsFor, type ListColumns } from "./list-columns.ts";
import type { RenderOptions } from "./options.ts";
import { migrationOf, planLines, remarksOn } from "./plan.ts";
import { indented, lineTexts, printableTexts } from "./printable.ts";
import { whoApplies, whyCut } from "./reasons.ts";
import { rehearsalLines } from "./rehearsal.ts";
import { minute, rowName, statusLines } from "./status.ts";
import { wrapped } from "./wrap.ts";

/** Renders a report as text for a person: a line for each migration, the failing statement, the outcome. */
export function renderReport(raw: Report, options: RenderOptions): string {
  const { colors, width, verbose = false, quiet = false } = options;
  const prose = (text: string) => wrapped(text, width);
  const { error, warnings, notices, ...rest } = raw;
  const report = { ...lineTexts(rest), warnings, notices };
  const errorLines = error === undefined ? [] : renderError(raw, error, options);
  const warned = warningLines(inFlags(warnings, options), colors).map(prose);
  if (quiet) return [...warned, ...errorLines].join("\n");
  const lines = [
    ...(options.isHeaded === true ? [] : renderHeading(report, colors).map(prose)),
    ...bodyLines(report, error, options),
    ...warned,
    ...report.notices.map((notice) => prose(noticeLine(notice, colors))),
    ...errorLines,
    ...longLockouts(report, colors).map(prose),
    prose(outcome(report, error, options)),
    ...(verbose ? timing(report, colors).map(prose) : []),
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
  const { action, colors, bundle } = options;
  const prose = (text: string) => wrapped(text, options.width);
  const { applied, pending, drift } = report;
  if (action === "status") return statusLines(report, options);
  if (action === "rehearse" && report.rehearsal != null) {
    return rehearsalLines(report.rehearsal, options);
  }
  if (action === "plan" && error !== undefined && isRefusal(error)) {
    return refusedLines(report, error, options);
  }
  const columns = columnsFor([...applied, ...pending]);
  const isPlanned = action === "plan" && bundle !== null && report.steps !== undefined;
  return [
    ...(options.isListed === true ? [] : applied.map((each) => appliedLine(each, columns, colors))),
    ...(isPlanned
      ? planLines(report, options)
      : pending.map((each) => pendingLine(each, columns, error, colors))),
    ...(action === "plan" && !isPlanned ? unseenLines(report, options).map(prose) : []),
    ...aheadLines(drift, colors).map(prose),
    ...findingsOf(report, options).map(prose),
  ];
}

/**
 * Says what the rules have found. A plan has it at its statements. A run has begun: a file that is applied must stay as it
 * is, and a failure has its own advice.
 */
function findingsOf(
  { findings, pending }: Lines,
  { action, folder, bundle, colors }: RenderOptions,
): readonly string[] {
  if (action === "up") return [];
  return bundle === null
    ? findingLines(findings, { folder, isOpen: pending.length > 0, colors })
    : noteLines(findings, folder, colors);
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

function appliedLine(
  { tag, statements, durationMs }: AppliedMigration,
  columns: ListColumns,
  colors: Colors,
): string {
  const time = durationMs === null ? "" : `  ${took(durationMs).padStart(7)}`;
  const size = colors.dim(`${columns.size(statements)}${time}`.trimEnd());
  return `${colors.green("✓")} ${columns.tag(tag)}  ${size}`;
}

function pendingLine(
  migration: PendingMigration,
  columns: ListColumns,
  error: Report["error"],
  colors: Colors,
): string {
  const { tag, statements } = migration;
  const hasFailed = oneLine(error?.migration ?? "") === tag;
  const mark = hasFailed ? colors.red("✗") : colors.yellow("·");
  const size = colors.dim(columns.size(statements));
  const state = hasFailed ? failedAt(error) : "pending";
  const remarks = remarksOn(migration, colors) || `  ${colors.dim(state)}`;
  return `${mark} ${columns.tag(tag)}  ${size}${remarks}`;
}

/** Renders a plan that was refused: none of its migrations would run. */
function refusedLines(
  report: Lines,
  { migration }: NonNullable<Report["error"]>,
  options: RenderOptions,
): readonly string[] {
  const { colors } = options;
  const { pending, drift } = report;
  const blamed = new Set([oneLine(migration ?? ""), ...drift.outOfOrder.map(({ tag }) => tag)]);
  const width = Math.max(0, ...pending.map(({ tag }) => tag.length));
  const lines = pending.map((each) => {
    const isBlamed = blamed.has(each.tag);
    const size = colors.dim(counted(each.statements, "statement").padEnd(14));
    const state = isBlamed ? colors.red("refused") : colors.dim("would not run");
    const remarks = remarksOn(each, colors, migrationOf(options, each.tag));
    return `${isBlamed ? colors.red("✗") : colors.dim("–")} ${each.tag.padEnd(width)}  ${size}  ${state}${remarks}`;
  });
  return [...lines, ...cutLines(report, options), ...aheadLines(drift, colors)];
}

function failedAt(error: Report["error"]): string {
  const place = error?.statement ?? null;
  const how = error?.code === "INTERRUPTED" ? "stopped" : "failed";
  return place === null ? how : `${how} at statement ${place.index}`;
}

/** Says where transactions end, and which statement forces each end. */
function cutLines({ cuts }: Pick<Report, "cuts">, options: RenderOptions): readonly string[] {
  return cuts.map((cut) => {
    const why = whyCut(cut, (tag) => migrationOf(options, tag));
    return `${options.colors.cyan("── commit")} before ${cut.migration}:${cut.line}: ${why}`;
  });
}

/** Says of a plan without its files where it commits, and how its SQL is seen. */
function unseenLines(report: Lines, options: RenderOptions): readonly string[] {
  const { steps = [] } = report;
  const hint = "Their SQL, their locks and each commit: add --folder FOLDER.";
  return [...cutLines(report, options), ...(steps.length > 0 ? [options.colors.dim(hint)] : [])];
}

/** Names the ledger rows that no file explains, with the times by which somebody finds out whose they are. */
function aheadLines({ unknown }: Drift, colors: Colors): readonly string[] {
  return unknown.map((row) => {
    const when = row.when === null ? "" : `, made ${minute(row.when)} UTC`;
    return `${colors.yellow("?")} ${rowName(row)}${when}  is in the ledger, not in the folder`;
  });
}

/** The last words of runs that have not failed by themselves. */
const ENDS: Readonly<Record<string, string>> = {
  INTERRUPTED: "Interrupted.",
  RUN_UNKNOWN: "It is not known how it ended.",
};

function outcome(report: Lines, error: Report["error"], options: RenderOptions): string {
  const { action, colors } = options;
  const { status, applied, pending, executor, atomic } = report;
  if (status === "failed") {
    return colors.red(colors.bold(ENDS[error?.code ?? ""] ?? failedWhere(report)));
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
  const next = action === "plan" ? wouldApply(report, options) : seeThePlan(options);
  return colors.yellow(`${counted(pending.length, "migration")} pending.${next}`);
}

function failedWhere({ rehearsal }: Lines): string {
  const isOfBranch = rehearsal != null && rehearsal.status !== "passed";
  return isOfBranch ? "Failed on the branch. Production was not touched." : "Failed.";
}

function seeThePlan({ folder }: RenderOptions): string {
  return folder === null ? "" : " neon-migrate plan shows what up would do.";
}

/** Says what applies a plan, how many commits it has, and who does it. */
function wouldApply(report: Lines, options: RenderOptions): string {
  const { atomic, steps = [] } = report;
  const commits = atomic ? "one transaction" : counted(steps.length, "transaction");
  const how = steps.length === 0 && !atomic ? "several transactions" : commits;
  const who = whoApplies(report, (tag) => migrationOf(options, tag));
  return ` neon-migrate up would apply ${report.pending.length === 1 ? "it" : "them"} in ${how}, ${who}.`;
}

/** Times in which others are locked out that somebody will have noticed, in ms. */
const NOTICED_MS = 1_000;

/** Says where others were locked out for long, or nobody knows how long. */
function longLockouts({ lockouts }: Lines, colors: Colors): readonly string[] {
  return lockouts
    .filter(({ durationMs }) => durationMs === null || durationMs >= NOTICED_MS)
    .map((each) => colors.yellow(lockoutSentence(each)));
}

function timing(
  { timings, roundTrips, database, ...rest }: Lines,
  colors: Colors,
): readonly string[] {
  const { totalMs, connectMs, lockMs, executeMs } = timings;
  if (database === null) return [];
  const parts = [`connect ${connectMs}`, `lock ${lockMs}`, `execute ${executeMs}`];
  const trips = counted(roundTrips, "round trip");
  const longest = rest.lockouts.length === 0 ? null : longestLockout(rest);
  const out = longest === null ? "" : ` · others locked out ${longest}`;
  return [colors.dim(`${totalMs} ms (${parts.join(", ")}) · ${trips}${out}`)];
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, type Layout, migrationFile } from "../../lib/bundle/bundle.ts";
import { excerpt } from "../../lib/bundle/text-position.ts";
import { type ErrorCode, STOPS, type StatementPlace } from "../../lib/errors.ts";
import type { PendingMigration, Report, ReportedError } from "../../lib/report/report.ts";
import { oneLine, printable } from "../../lib/text.ts";
import { forCommand } from "./in-flags.ts";
import type { RenderOptions } from "./options.ts";
import { indented, printableTexts } from "./printable.ts";
import { wrapped } from "./wrap.ts";

/** How many lines of a statement are shown when its file is not at hand. */
const MAX_EXCERPT_LINES = 5;

/** Renders an error: its place, PostgreSQL's words and ours, the state of the database, and the next step. */
export function renderError(
  report: Report,
  raw: ReportedError,
  options: RenderOptions,
): readonly string[] {
  const { colors, width } = options;
  const prose = (text: string) => wrapped(indented(text), width);
  const error = printableTexts(raw);
  const { code, statement, sqlstate, detail, hint, where } = error;
  const hasFolder = options.folder !== null;
  const place = raw.migration === null ? null : oneLine(placeOf(options, raw.migration, statement));
  const compiling = sqlstate === null && statement !== null && detail !== null;
  const label = `${code}${sqlstate === null ? "" : ` (SQLSTATE ${sqlstate})`}`;
  const shown = linesOf(raw, options.bundle).map(printable);
  return [
    "",
    `${colors.red(colors.bold(label))}${place === null ? "" : `  ${colors.cyan(place)}`}`,
    prose(forCommand(error.message, hasFolder)),
    ...(shown.length === 0 ? [] : ["", ...shown.map((line) => `    ${line}`), ""]),
    ...(detail === null || compiling ? [] : [prose(`Detail: ${detail}`)]),
    ...(hint === null ? [] : [prose(`Hint: ${hint}`)]),
    ...(where === null ? [] : [`Where: ${indented(where)}`]),
    ...nextSteps(report, error, options).map(prose),
    ...(typeof error.query === "string" ? [`    ${indented(error.query)}`] : []),
    "",
  ];
}

function placeOf(
  { folder, bundle }: RenderOptions,
  migration: string,
  statement: StatementPlace | null,
): string {
  const place = (layout: Layout) => join(folder ?? "", migrationFile(layout, migration));
  // Without a bundle, only the disk tells the layout: a tag may begin with a time in both.
  const path = place(bundle?.layout ?? (existsSync(place("1.0")) ? "1.0" : "0.x"));
  return statement === null ? path : `${path}:${statement.line}:${statement.column}`;
}

function linesOf(error: ReportedError, bundle: Bundle | null): readonly string[] {
  const { migration, statement, sqlstate, detail } = error;
  if (statement === null) return [];
  // An error of the compiler already shows the line and its caret.
  if (sqlstate === null && detail !== null) return detail.split("\n");
  const sql = bundle?.migrations.find(({ tag }) => tag === migration)?.sql;
  if (sql !== undefined) return caretLines(sql, statement);
  return statement.excerpt.split("\n").slice(0, MAX_EXCERPT_LINES);
}

function caretLines(sql: string, place: StatementPlace): readonly string[] {
  const { shown, indent, carets } = excerpt(sql, place);
  const label = `${place.line} | `;
  return [`${label}${shown}`, `${" ".repeat(label.length)}${indent}${carets}`];
}

/** The words about another run, where the message has some, or has named something to check. */
const AGAIN: Readonly<Record<string, readonly string[]>> = {
  INTERRUPTED: [],
  UNREACHABLE: ["Where all of that is right, run it again later."],
};

/** Says what is left, and what to do next. A report of an earlier function has no advice. */
function nextSteps(
  report: Report,
  { advice, code, retryable }: ReportedError,
  { action, folder }: RenderOptions,
): readonly string[] {
  return [
    // Neither plan nor status runs anything.
    ...(action === "up" ? leftBehind(report) : []),
    ...(retryable ? (AGAIN[code] ?? ["Run it again later: nothing has to be changed first."]) : []),
    ...(typeof advice === "string" ? [forCommand(advice, folder !== null)] : []),
  ];
}

/** Failures after which only the ledger may know what was committed. */
const UNSETTLED: readonly string[] = ["CONNECTION_LOST", "DEADLINE", "INTERRUPTED", "INTERNAL"];

/** The words of a message about the statements of its migration that stay done. */
const DONE = /\bStatements? (?:1 to )?(\d+) of (\d+) (?:is|are) done\b/;

/** Whether the message says already how many statements of the failed migration are done. */
function isSaid({ tag, done, statements }: PendingMigration, error: Report["error"]): boolean {
  if (error?.migration !== tag) return false;
  const [, first, total] = DONE.exec(error.message) ?? [];
  return Number(first) === done && Number(total) === statements;
}

/** Failures that come before the first statement of a migration. */
const REFUSED: readonly ErrorCode[] = [
  ...(["OUT_OF_ORDER", "MODIFIED", "AHEAD", "EXECUTOR_UNSUITABLE", "NOT_ATOMIC"] as const),
  ...(["NOT_BASELINED", "LEDGER_ELSEWHERE", "LOCKED", "POOLED_CONNECTION", "READ_ONLY"] as const),
];
const NOTHING = "Nothing was applied.";
/** The end of a message that says so itself. */
const SAID = "Nothing was run";

/** Whether a plan was refused, so that nothing of it is carried out. */
export function isRefusal({ code }: ReportedError): boolean {
  return REFUSED.includes(code);
}

/** Whether a failure has come before the first statement of a migration. */
function isBeforeAll(error: ReportedError): boolean {
  const { code, migration } = error;
  return isRefusal(error) || (STOPS.includes(code) && migration === null);
}

/** Says which state a failure has left the database in: a reader asks for that first. */
function leftBehind(report: Report): readonly string[] {
  const { database, error, atomic } = report;
  if (database === null || error === undefined) return [];
  const { code, message, migration } = error;
  const isRefused = isBeforeAll(error);
  if (isRefused && message.includes(SAID)) return [];
  if (code === "CONNECTION_LOST") return ["The ledger says what was committed: run status."];
  if (atomic) return [isRefused ? NOTHING : "No pending migration has left anything behind."];
  const lines = stayingLines(report);
  const isNothing = lines.length === 0 && !UNSETTLED.includes(code) && migration === null;
  return isNothing || (isRefused && lines.length === 0) ? [NOTHING] : lines;
}

/** Names what an earlier step of the run, or an earlier run, has committed. */
function stayingLines({ applied, pending, error }: Report): readonly string[] {
  const [next] = pending;
  const half = pending.find((each) => each.done > 0 && !isSaid(each, error));
  return [
    ...(applied.length > 0 && next !== undefined
      ? [
          `The migrations ticked above stay applied. The next run goes on with ${oneLine(next.tag)}.`,
        ]
      : []),
    ...(half === undefined
      ? []
      : [
          `${half.done} of ${half.statements} statements of ${oneLine(half.tag)} are done, and stay done.`,
        ]),
  ];
}

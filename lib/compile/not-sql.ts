import { type Statement, UNPARSED } from "../bundle/bundle.ts";
import type { FolderWarning } from "../bundle/folder-warning.ts";
import { excerpt, type Position, positionAt } from "../bundle/text-position.ts";
import { type ErrorCode, MigratorError } from "../errors.ts";
import type { MigrationFile } from "./folder.ts";
import type { SqlProblem } from "./problem.ts";
import { parseTree } from "./sql/parser.ts";
import { scanTokens } from "./sql/scanner.ts";
import { record } from "./sql/tree.ts";

/** The statements of a file, as far as they were read. */
export interface ReadSoFar {
  readonly statements: readonly Statement[];
  /** The reason why the rest was not read. Default: all was read. */
  readonly problem?: SqlProblem;
}

/**
 * Refuses the parts of a file that were never meant for PostgreSQL: the commands, variables and COPY data of psql, and the
 * markers of a merge.
 * @throws MigratorError `PSQL_ONLY` or `MERGE_CONFLICT`, with file, line and column
 */
export function refuseWhatIsNotSql(file: MigrationFile, { statements, problem }: ReadSoFar): void {
  refuseMarkers(file, statements, problem);
  refuseCopyData(file, statements);
  if (problem !== undefined) refuseCommand(file, problem);
}

/** Warns about a merge conflict that PostgreSQL reads as a part of a literal or of a comment. */
export function conflictWarning({ tag, path, sql }: MigrationFile): readonly FolderWarning[] {
  const conflict = conflictIn(sql);
  if (conflict === null) return [];
  const message = `${path}:${positionAt(sql, conflict.from).line}: a merge conflict lies in a literal or a comment. PostgreSQL takes its markers for a part of that text. If nobody wants them there, remove them before this migration is applied anywhere.`;
  return [{ code: "MERGE_CONFLICT", message, settledBy: [tag] }];
}

interface Refusal extends Position {
  readonly code: ErrorCode;
  readonly index: number;
  readonly text: string;
  readonly reason: string;
  readonly hint: string;
}

function refuse({ tag, path, sql }: MigrationFile, refusal: Refusal): never {
  const { code, line, column, index, text, reason, hint } = refusal;
  const { shown, indent, carets } = excerpt(sql, { line, column });
  throw new MigratorError(code, `${path}:${line}:${column}: ${reason}`, {
    migration: tag,
    statement: { index, line, column, excerpt: text.slice(0, 500) },
    detail: `${shown}\n${indent}${carets}`,
    hint,
  });
}

const MARKER = /^(?:<{7}|={7}|>{7}|\|{7})(?= |\r?$)/;

/** Finds the first conflict that has all of its markers, each at the beginning of a line. */
function conflictIn(sql: string): { readonly from: number; readonly to: number } | null {
  if (!sql.includes("<<<<<<<")) return null;
  const found: number[] = [];
  for (const marker of [/^<{7}(?= |\r?$)/gm, /^={7}(?= |\r?$)/gm, /^>{7}(?= |\r?$)/gm]) {
    marker.lastIndex = found.at(-1) ?? 0;
    const { index } = marker.exec(sql) ?? {};
    if (index === undefined) return null;
    found.push(index);
  }
  const [from = 0, , to = 0] = found;
  return { from, to };
}

function refuseMarkers(
  file: MigrationFile,
  statements: readonly Statement[],
  problem: SqlProblem | undefined,
): void {
  const conflict = conflictIn(file.sql);
  if (problem === undefined) {
    const index = conflict === null ? -1 : statements.findIndex(hasIn(file.sql, conflict.from));
    if (conflict !== null && index >= 0)
      refuseMarker(file, positionAt(file.sql, conflict.from), index + 1);
    return;
  }
  if (conflict !== null) {
    const first = positionAt(file.sql, conflict.from);
    const last = positionAt(file.sql, conflict.to);
    if (problem.line >= first.line && problem.line <= last.line) {
      refuseMarker(file, first, problem.index);
    }
  }
  const { line } = problem;
  if (MARKER.test(lineAt(file.sql, line))) refuseMarker(file, { line, column: 1 }, problem.index);
}

function refuseMarker(file: MigrationFile, { line, column }: Position, index: number): never {
  return refuse(file, {
    code: "MERGE_CONFLICT",
    line,
    column,
    index,
    text: lineAt(file.sql, line),
    reason:
      "this is the marker of a merge conflict. Keep what both sides need, and remove the markers.",
    hint: "If one side's file is applied to a database already, restore that file as it was, and put the other side's statements into a migration of their own.",
  });
}

/** Bodies of code are literals to the parser, and the server reads them as code. */
const CODE: readonly string[] = ["DoStmt", "CreateFunctionStmt"];

/** Whether a marker stands in a statement as its code, where PostgreSQL reads an operator. */
function hasIn(sql: string, marker: number): (statement: Statement) => boolean {
  return ({ start, end, kind }) => {
    if (marker < start || marker >= end || kind === UNPARSED) return false;
    if (CODE.includes(kind)) return true;
    return scanTokens(sql.slice(start, end)).some((token) => start + token.start === marker);
  };
}

function refuseCopyData(file: MigrationFile, statements: readonly Statement[]): void {
  for (const [index, { kind, start, end, line, column }] of statements.entries()) {
    if (kind !== "CopyStmt") continue;
    const text = file.sql.slice(start, end);
    const { is_from: reads, filename } = record(parseTree(text).CopyStmt);
    if (reads !== true || filename !== undefined) continue;
    refuse(file, {
      code: "PSQL_ONLY",
      line,
      column,
      index: index + 1,
      text,
      reason:
        "COPY … FROM STDIN takes its rows from the program that runs it. psql reads them from the lines below, and a migrator has none to send. Write the rows as INSERT, as pg_dump --inserts does, or load them outside of the migrations.",
      hint: NOWHERE_APPLIED,
    });
  }
}

const NOWHERE_APPLIED =
  "No migrator can have applied this file, Drizzle's own included, so that no ledger holds it and it may be edited. If psql has run it in a database, edit it all the same, and mark it as applied there: neon-migrate baseline --to TAG.";

const VARIABLE = /^:(?:[A-Za-z_]\w*|'\w+'|"\w+"|\{\?\w+\})/;

/** The commands of psql 18, and the way out for each. The first that fits counts. */
const COMMANDS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:un)?restrict$/,
    "pg_dump writes it around a dump, for psql alone. Remove both lines, \\restrict and \\unrestrict.",
  ],
  [
    /^c(?:onnect)?$/,
    "A migration stays in the database of its connection. Remove the line, and give another database a folder of migrations of its own.",
  ],
  [
    /^copy$/,
    "It reads or writes a file beside psql. Write the rows as INSERT, or load them outside of the migrations.",
  ],
  [/^(?:i|ir|include|include_relative)$/, "Put the text of the file that it names in its place."],
  [/^gexec$/, "Write a DO block that runs what the query returns with EXECUTE."],
  [
    /^(?:g|gx|gset|gdesc|p|crosstabview|watch|bind|bind_named|parse|close_prepared|startpipeline|endpipeline|syncpipeline|sendpipeline|flush|flushrequest|getresults)$/,
    "End the statement with a semicolon in its place.",
  ],
  [
    /^(?:set|unset|if|elif|else|endif|prompt|getenv|setenv)$/,
    "Write the value or the branch that is wanted into the statements.",
  ],
  [/^\.$/, "It ends the data of a COPY … FROM STDIN. Remove the data, too."],
  [
    /^(?:a|C|cd|conninfo|copyright|d\w*|e|echo|ef|encoding|errverbose|ev|f|h|help|H|html|l\+?|list|lo_\w+|o|out|password|pset|q|quit|qecho|r|reset|s|sf|sv|t|T|timing|w|warn|write|x|z|!|\?)$/,
    "Remove it.",
  ],
];

function refuseCommand(file: MigrationFile, problem: SqlProblem): void {
  const { line, column, index, text } = problem;
  const behind = lineAt(file.sql, line).slice(column - 1);
  const place = { code: "PSQL_ONLY", line, column, index, text, hint: NOWHERE_APPLIED } as const;
  const [variable] = VARIABLE.exec(behind) ?? [];
  if (variable !== undefined) {
    const reason = `${variable} is a variable of psql, and nothing puts a value in its place here. Write the value itself.`;
    refuse(file, { ...place, reason });
  }
  const [, word] = /^\\([A-Za-z_]+\+?|.)/.exec(behind) ?? [];
  if (word === undefined) return;
  const [, advice] = COMMANDS.find(([names]) => names.test(word)) ?? [];
  const reason =
    advice === undefined
      ? "a backslash stands outside of a literal, where PostgreSQL has no use for it. Remove it, with the command of psql or the escaped character that it begins."
      : `\\${word} is a command of psql, and neither PostgreSQL nor a migrator knows it. ${advice}`;
  refuse(file, { ...place, reason });
}

function lineAt(sql: string, line: number): string {
  return sql.split("\n", line)[line - 1] ?? "";
}

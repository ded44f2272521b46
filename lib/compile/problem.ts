import { STATEMENT_BREAKPOINT } from "../bundle/bundle.ts";
import { excerpt, type Position } from "../bundle/text-position.ts";
import { MigratorError } from "../errors.ts";
import type { MigrationFile } from "./folder.ts";
import { type Limit, parseRanges, type Range } from "./sql/parser.ts";

/** The reason why a migration's text cannot be cut into statements, and the place. */
export interface SqlProblem {
  /** PostgreSQL's own words. */
  readonly message: string;
  /** From 1, in the file. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Number of the statement in the migration, from 1. */
  readonly index: number;
  /** The statement's text, as far as its end can be told. */
  readonly text: string;
  /** Whether PostgreSQL could read the text in one piece, and only the split at a breakpoint broke it. */
  readonly torn: boolean;
  /** The limit of the parser that the statement exceeds; absent for any other problem. */
  readonly beyond?: Limit;
}

/** A directive that cannot be followed, and why. */
export interface Misdirection {
  readonly message: string;
  /** From 1, in the file. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Number of the statement below or around the directive, from 1. */
  readonly index: number;
}

/** The search for the statements before an error goes back over so many semicolons, then gives up. */
const MAX_STEPS_BACK = 50;

/** Finds the statements before an error: the parser itself gives up the whole text. */
export function rangesBefore(text: string, offset: number): readonly Range[] {
  let cut = offset;
  for (let step = 0; step < MAX_STEPS_BACK && cut > 0; step += 1) {
    cut = text.lastIndexOf(";", cut - 1);
    if (cut < 0) return [];
    const parse = parseRanges(text.slice(0, cut + 1));
    // The last semicolon may also be part of a literal or a comment: then it ends no statement.
    if (parse.ok && parse.ranges.at(-1)?.next === cut + 1) return parse.ranges;
  }
  return [];
}

/** Returns the text of the statement that begins at `from` and has its error at `offset`. */
export function statementAround(chunk: string, from: number, offset: number): string {
  const semicolon = chunk.indexOf(";", offset);
  return chunk.slice(from, semicolon < 0 ? chunk.length : semicolon).trim();
}

/** Whether a breakpoint lies inside a statement, a literal or a comment of a chunk that has an error. */
export function isTorn(sql: string, chunkStart: number, chunkLength: number): boolean {
  if (chunkStart + chunkLength < sql.length) {
    // To PostgreSQL a breakpoint is an ordinary comment, so the rest of the file can be read as one.
    const joined = parseRanges(sql.slice(chunkStart));
    if (joined.ok || joined.offset > chunkLength) return true;
  }
  const breakpoint = chunkStart - STATEMENT_BREAKPOINT.length;
  if (breakpoint <= 0) return false;
  const before = sql.lastIndexOf(STATEMENT_BREAKPOINT, breakpoint - 1);
  return parseRanges(sql.slice(Math.max(before, 0))).ok;
}

/** Makes the error for a migration that PostgreSQL's parser cannot read. */
export function sqlError(file: MigrationFile, problem: SqlProblem): MigratorError {
  const { tag, path, sql } = file;
  const { line, column, index, text, torn } = problem;
  const statement = { index, line, column, excerpt: text.slice(0, 500) };
  const facts = { migration: tag, statement, detail: lineOf(sql, problem) };
  const whole = problem.beyond === undefined ? parseRanges(sql) : null;
  if (whole?.ok === true && whole.ranges.length === 0) {
    return new MigratorError(
      "PULL_BASELINE",
      `${path}:${line}:${column}: all SQL of this file lies in one comment that holds statement breakpoints, as "drizzle-kit pull" writes its baseline, and split there it is no valid SQL. Remove the comment's text if the database already has these tables, or the marks /* and */ if the migration shall create them.`,
      facts,
    );
  }
  const place = `${path}:${line}:${column}`;
  if (problem.beyond !== undefined) {
    const message = `${place}: ${problem.message}. ${WAYS_OUT[problem.beyond]}`;
    return new MigratorError("SQL_INVALID", message, facts);
  }
  return new MigratorError(
    "SQL_INVALID",
    `${place}: ${problem.message}. Correct this statement${torn ? ", or move the statement breakpoint out of it" : ""}.`,
    { ...facts, hint: hintOf(problem) },
  );
}

/** Makes the error for a directive that cannot be followed. No directive is ignored in silence. */
export function directiveError(
  { tag, path, sql }: MigrationFile,
  problem: Misdirection,
): MigratorError {
  const { line, column, index, message } = problem;
  const text = (sql.split("\n", line).at(-1) ?? "").trim().slice(0, 500);
  const statement = { index, line, column, excerpt: text };
  return new MigratorError(
    "DIRECTIVE_INVALID",
    `${path}:${line}:${column}: this directive cannot be followed: ${message}.`,
    { migration: tag, statement, detail: lineOf(sql, problem) },
  );
}

function lineOf(sql: string, place: Position): string {
  const { shown, indent, carets } = excerpt(sql, place);
  return `${shown}\n${indent}${carets}`;
}

function hintOf({ torn, message }: SqlProblem): string {
  if (torn) return TORN_HINT;
  return message.startsWith("memory exhausted") ? GRAMMAR_HINT : NEWER_HINT;
}

const UNPARSED_WAY =
  'let it through as it is: "-- neon-migrate: unparsed" on the line above, and a statement breakpoint behind it.';

/** Such a statement need not be wrong: the limit is that of the parser here, and not always one of the server. */
const WAYS_OUT: Readonly<Record<Limit, string>> = {
  depth: `PostgreSQL refuses most such statements, too (54001, with its default max_stack_depth). Write the chain in brackets of some hundred parts each, or as several statements. If your server takes it as it is, ${UNPARSED_WAY}`,
  length: `Write it as several statements of fewer rows each, load its data outside of the migrations, or ${UNPARSED_WAY}`,
  size: `Write it as several statements of fewer values each, or ${UNPARSED_WAY}`,
};

const GRAMMAR_HINT =
  "PostgreSQL refuses this statement with the same words: brackets, CASE or subqueries nest deeper than its grammar allows. Write it with less nesting.";

const NEWER_HINT =
  'If the statement is right, and only this parser is older than the server, let it through: "-- neon-migrate: unparsed" on the line above.';

const TORN_HINT = `A "${STATEMENT_BREAKPOINT}" lies inside a literal, a comment or a statement here. Drizzle splits the file there all the same, so move it behind the statement's end.`;

import { STATEMENT_BREAKPOINT, type Statement } from "../bundle.ts";
import { type Parse, parseRanges, type Range } from "./parser.ts";
import { isTorn, rangesBefore, type SqlProblem, statementAround } from "./sql-problem.ts";

/** A migration's statements, or what is wrong with its text. */
export type Cut =
  | { readonly ok: true; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly problem: SqlProblem };

/**
 * The parse tree of 8 MB takes 0.8 GB, so long chunks are parsed piece by piece, in UTF-16 units.
 * One statement is never cut, whatever its length; 8 MB in a single INSERT still takes the memory.
 */
const PIECE_LENGTH = 256 * 1024;

/** Cuts a migration's text as Drizzle does, at every breakpoint, and then each chunk into statements. */
export function cutStatements(sql: string): Cut {
  const toPlace = places(sql);
  const statements: Statement[] = [];
  let chunkStart = 0;
  for (const [chunk, text] of sql.split(STATEMENT_BREAKPOINT).entries()) {
    const { ranges, failure } = parsePieces(text);
    for (const range of ranges) {
      const start = chunkStart + range.start;
      const end = chunkStart + range.end;
      const { kind, classification } = range;
      statements.push({ start, end, chunk, ...toPlace(start), kind, ...classification });
    }
    if (failure !== null) {
      const { message, offset } = failure;
      const problem = {
        message,
        ...toPlace(chunkStart + offset),
        index: statements.length + 1,
        text: statementAround(text, failure.from, offset),
        torn: isTorn(sql, chunkStart, text.length),
      };
      return { ok: false, problem };
    }
    chunkStart += text.length + STATEMENT_BREAKPOINT.length;
  }
  return { ok: true, statements };
}

interface Pieces {
  readonly ranges: readonly Range[];
  readonly failure: Failure | null;
}

interface Failure {
  readonly message: string;
  readonly offset: number;
  /** Where the statement that holds the error begins. */
  readonly from: number;
}

function parsePieces(chunk: string): Pieces {
  const ranges: Range[] = [];
  let from = 0;
  let length = PIECE_LENGTH;
  while (from < chunk.length) {
    const text = chunk.slice(from, pieceEnd(chunk, from, length));
    const parse = parseRanges(text);
    if (from + text.length === chunk.length) return lastPiece(ranges, parse, text, from);
    // Sound wherever the piece ends: what lies behind a semicolon that the grammar has taken as the
    // end of a statement cannot change the statements before it.
    const next = parse.ok ? (parse.ranges.at(-1)?.next ?? null) : null;
    if (!parse.ok || next === null) {
      length *= 2;
      continue;
    }
    for (const range of parse.ranges) ranges.push(shifted(range, from));
    from += next;
    length = PIECE_LENGTH;
  }
  return { ranges, failure: null };
}

function pieceEnd(chunk: string, from: number, length: number): number {
  if (from + length >= chunk.length) return chunk.length;
  const back = chunk.lastIndexOf(";", from + length);
  const semicolon = back < from ? chunk.indexOf(";", from + length) : back;
  return semicolon < 0 ? chunk.length : semicolon + 1;
}

function lastPiece(before: readonly Range[], parse: Parse, text: string, from: number): Pieces {
  const ranges = parse.ok ? parse.ranges : rangesBefore(text, parse.offset);
  const all = [...before, ...ranges.map((range) => shifted(range, from))];
  if (parse.ok) return { ranges: all, failure: null };
  const { message, offset } = parse;
  return {
    ranges: all,
    failure: { message, offset: from + offset, from: from + (ranges.at(-1)?.next ?? 0) },
  };
}

function shifted(range: Range, by: number): Range {
  const { start, end, next } = range;
  return { ...range, start: start + by, end: end + by, next: next === null ? null : next + by };
}

/** Line and column, from 1, of rising offsets; a line ends at its line feed. */
function places(sql: string): (offset: number) => Pick<Statement, "line" | "column"> {
  let line = 1;
  let lineStart = 0;
  let feed = sql.indexOf("\n");
  return (offset) => {
    while (feed >= 0 && feed < offset) {
      line += 1;
      lineStart = feed + 1;
      feed = sql.indexOf("\n", lineStart);
    }
    return { line, column: offset - lineStart + 1 };
  };
}

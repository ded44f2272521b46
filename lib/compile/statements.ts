import { STATEMENT_BREAKPOINT, type Statement } from "../bundle.ts";
import { type Parse, parseRanges, type Range } from "./parser.ts";

/** Why a migration's text cannot be cut, and where. */
export interface SqlProblem {
  /** PostgreSQL's own words. */
  readonly message: string;
  /** UTF-16 offset into the migration's text. */
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  /** Number of the statement in the migration, from 1. */
  readonly index: number;
  /** The text from the statement's beginning to the end of its chunk. */
  readonly text: string;
  /** Whether Drizzle's split at a breakpoint tore apart what PostgreSQL could read in one piece. */
  readonly torn: boolean;
}

/** A migration's statements, or what is wrong with its text. */
export type Cut =
  | { readonly ok: true; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly problem: SqlProblem };

/**
 * The parse tree of 8 MB takes 0.8 GB, so long chunks are parsed piece by piece, in UTF-16 units.
 * One statement is never cut, whatever its length; 8 MB in a single INSERT still takes the memory.
 */
const PIECE_LENGTH = 256 * 1024;

/** An error inside a long function body is looked for that many semicolons back, then given up. */
const MAX_STEPS_BACK = 50;

/** Cuts a migration's text as Drizzle does, at every breakpoint, and then each chunk into statements. */
export function cutStatements(sql: string): Cut {
  const toPlace = places(sql);
  const statements: Statement[] = [];
  let chunkStart = 0;
  for (const [chunk, text] of sql.split(STATEMENT_BREAKPOINT).entries()) {
    const { ranges, failure } = parsePieces(text);
    for (const range of ranges) {
      const start = chunkStart + range.start;
      statements.push({ start, end: chunkStart + range.end, chunk, ...toPlace(start) });
    }
    if (failure !== null) {
      const offset = chunkStart + failure.offset;
      const place = { message: failure.message, offset, ...toPlace(offset) };
      const index = statements.length + 1;
      const torn = isTorn(sql, chunkStart, text.length);
      return { ok: false, problem: { ...place, index, text: text.slice(failure.from), torn } };
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
    ranges.push(...shifted(parse.ranges, from));
    from += next;
    length = PIECE_LENGTH;
  }
  return { ranges, failure: null };
}

function pieceEnd(chunk: string, from: number, length: number): number {
  if (from + length >= chunk.length) return chunk.length;
  const semicolon = chunk.lastIndexOf(";", from + length);
  return semicolon < from ? chunk.length : semicolon + 1;
}

function lastPiece(before: readonly Range[], parse: Parse, text: string, from: number): Pieces {
  if (parse.ok) return { ranges: [...before, ...shifted(parse.ranges, from)], failure: null };
  const good = rangesBefore(text, parse.offset);
  const ranges = [...before, ...shifted(good, from)];
  const statement = from + (good.at(-1)?.next ?? 0);
  return {
    ranges,
    failure: { message: parse.message, offset: from + parse.offset, from: statement },
  };
}

/** The statements before an error: the parser itself gives up the whole text. */
function rangesBefore(text: string, offset: number): readonly Range[] {
  let cut = offset;
  for (let step = 0; step < MAX_STEPS_BACK; step += 1) {
    cut = cut === 0 ? -1 : text.lastIndexOf(";", cut - 1);
    if (cut < 0) return [];
    const parse = parseRanges(text.slice(0, cut + 1));
    if (parse.ok && parse.ranges.at(-1)?.next === cut + 1) return parse.ranges;
  }
  return [];
}

function shifted(ranges: readonly Range[], by: number): readonly Range[] {
  return ranges.map(({ start, end, next }) => ({
    start: start + by,
    end: end + by,
    next: next === null ? null : next + by,
  }));
}

function isTorn(sql: string, chunkStart: number, chunkLength: number): boolean {
  const chunkEnd = chunkStart + chunkLength;
  if (chunkEnd < sql.length) {
    const joined = parseRanges(sql.slice(chunkStart));
    if (joined.ok || joined.offset > chunkLength) return true;
  }
  if (chunkStart === 0) return false;
  const before = sql.lastIndexOf(STATEMENT_BREAKPOINT, chunkStart - STATEMENT_BREAKPOINT.length - 1);
  return parseRanges(sql.slice(Math.max(before, 0))).ok;
}

/** Line and column, from 1, of rising offsets; a line ends at its line feed. */
function places(sql: string): (offset: number) => Pick<Statement, "line" | "column"> {
  let line = 1;
  let lineStart = 0;
  return (offset) => {
    for (;;) {
      const feed = sql.indexOf("\n", lineStart);
      if (feed < 0 || feed >= offset) return { line, column: offset - lineStart + 1 };
      line += 1;
      lineStart = feed + 1;
    }
  };
}

import {
  type FileDirectives,
  STATEMENT_BREAKPOINT,
  type Statement,
  type StatementDirectives,
  UNPARSED,
} from "../bundle/bundle.ts";
import { type Position, positionAt } from "../bundle/text-position.ts";
import {
  type ChunkDirectives,
  DirectiveProblem,
  findUnparsed,
  readDirectives,
  unparsedStatement,
} from "./directives.ts";
import {
  isTorn,
  type Misdirection,
  rangesBefore,
  type SqlProblem,
  statementAround,
} from "./problem.ts";
import { classify } from "./sql/classify.ts";
import { type Parse, parseRanges, type Range, type Tree } from "./sql/parser.ts";
import { digestTokens } from "./sql/tokens.ts";
import { touchesOf } from "./sql/touches.ts";

/** A migration's statements and what its directives say of the whole file, or what is wrong with its text. */
export type Cut =
  | ({ readonly ok: true; readonly statements: readonly Statement[] } & OfFile)
  | { readonly ok: false; readonly code: "SQL_INVALID"; readonly problem: SqlProblem }
  | { readonly ok: false; readonly code: "DIRECTIVE_INVALID"; readonly problem: Misdirection };

/**
 * Takes the parse tree of a statement, by the statement's index in its file. Null where `parseTree` of its own
 * text would give another one, and for a long statement: its tree takes a hundred times the text's memory.
 */
type KeepTree = (index: number, kind: string, tree: Tree | null) => void;

/** What is true of the whole file; a file that says nothing has none of it. */
interface OfFile {
  readonly directives?: FileDirectives;
  readonly lineEndsMatter?: true;
}

/**
 * The parse tree of 8 MB takes 0.8 GB, so long chunks are parsed piece by piece, in UTF-16 units.
 * One statement is never cut, whatever its length; 8 MB in a single INSERT still takes the memory.
 */
const PIECE_LENGTH = 256 * 1024;

/**
 * Cuts a migration's text as Drizzle does, at every breakpoint, and then each chunk into statements; and
 * reads the directives above them.
 * @param keep is handed the kind of each statement, with its parse tree where that is worth keeping
 */
export function cutStatements(sql: string, keep: KeepTree = () => undefined): Cut {
  let at = 0;
  let place: Position = positionAt(sql, at);
  const statements: Statement[] = [];
  let file: FileDirectives = {};
  let lines: Pick<OfFile, "lineEndsMatter"> = {};
  let chunkStart = 0;
  for (const [chunk, text] of sql.split(STATEMENT_BREAKPOINT).entries()) {
    const { ranges, failure, directives } = readChunk(text, statements.length === 0 ? file : null);
    if (directives instanceof DirectiveProblem) {
      const where = { sql, chunkStart, index: statements.length + 1 };
      return {
        ok: false,
        code: "DIRECTIVE_INVALID",
        problem: misdirection(where, ranges, directives),
      };
    }
    for (const [index, range] of ranges.entries()) {
      const { spansLines, ...digested } = digestTokens(text.slice(range.start, range.end));
      if (spansLines) lines = { lineEndsMatter: true };
      const start = chunkStart + range.start;
      // From the statement before: from the file's head, thousands of them would take its length squared.
      place = positionAt(sql.slice(at, start), start - at, place);
      at = start;
      const span = { start, end: chunkStart + range.end, chunk, ...place };
      const said = directivesOf(directives.statements.get(index));
      keep(statements.length, range.facts.kind, range.tree);
      statements.push({ ...span, ...digested, ...range.facts, ...said });
    }
    if (failure !== null) {
      const where = { sql, chunkStart, index: statements.length + 1 };
      return { ok: false, code: "SQL_INVALID", problem: sqlProblem(where, text, failure) };
    }
    file = { ...file, ...directives.file };
    chunkStart += text.length + STATEMENT_BREAKPOINT.length;
  }
  return { ok: true, statements, ...lines, ...directivesOf(file) };
}

/** Where a statement lies in its chunk, and what its parse tree tells. */
interface Read {
  readonly start: number;
  readonly end: number;
  readonly facts: Pick<Statement, "kind" | "mode" | "effect" | "touches">;
  /** Null where it is not worth keeping. */
  readonly tree: Tree | null;
}

const MAX_KEPT_LENGTH = 10_000;

/** Reads the tree of a statement while it is there: those of a whole file would take too much memory. */
function read({ start, end, kind, tree, ownPlaces }: Range, from: number): Read {
  const touches = touchesOf(tree);
  return {
    start: start + from,
    end: end + from,
    facts: { kind, ...classify(tree), ...(touches.length === 0 ? {} : { touches }) },
    tree: ownPlaces && end - start <= MAX_KEPT_LENGTH ? tree : null,
  };
}

/** A chunk's statements and what is said of them. */
interface ReadChunk extends Pieces {
  readonly directives: ChunkDirectives | DirectiveProblem;
}

const NO_DIRECTIVES: ChunkDirectives = { file: {}, statements: new Map() };

function readChunk(text: string, head: FileDirectives | null): ReadChunk {
  let pieces: Pieces = { ranges: [], failure: null };
  try {
    pieces = cutChunk(text);
    if (pieces.failure !== null) return { ...pieces, directives: NO_DIRECTIVES };
    return { ...pieces, directives: readDirectives(text, pieces.ranges, head) };
  } catch (thrown) {
    if (!(thrown instanceof DirectiveProblem)) throw thrown;
    return { ...pieces, directives: thrown };
  }
}

function directivesOf<Said extends StatementDirectives>(
  said: Said | undefined,
): { readonly directives?: Said } {
  return said === undefined || Object.keys(said).length === 0 ? {} : { directives: said };
}

interface Where {
  readonly sql: string;
  readonly chunkStart: number;
  /** Of the chunk's first statement, or of the one that is wrong; from 1. */
  readonly index: number;
}

function misdirection(
  { sql, chunkStart, index }: Where,
  ranges: readonly Read[],
  { message, offset }: DirectiveProblem,
): Misdirection {
  const above = ranges.filter(({ end }) => end <= offset).length;
  return { message, ...positionAt(sql, chunkStart + offset), index: index + above };
}

function sqlProblem({ sql, chunkStart, index }: Where, text: string, failure: Failure): SqlProblem {
  const { message, offset, from } = failure;
  return {
    message,
    ...positionAt(sql, chunkStart + offset),
    index,
    text: statementAround(text, from, offset),
    torn: isTorn(sql, chunkStart, text.length),
  };
}

/** What a directive lets through unparsed is the chunk's last statement. */
function cutChunk(text: string): Pieces {
  const from = findUnparsed(text);
  if (from === null) return parsePieces(text);
  const before = parsePieces(text.slice(0, from));
  if (before.failure !== null) return before;
  const effect = { kind: "unknown" } as const;
  const facts = { kind: UNPARSED, mode: "alone", effect } as const;
  const unparsed = { ...unparsedStatement(text, from), facts, tree: null };
  return { ranges: [...before.ranges, unparsed], failure: null };
}

interface Pieces {
  readonly ranges: readonly Read[];
  readonly failure: Failure | null;
}

interface Failure {
  readonly message: string;
  readonly offset: number;
  /** Where the statement that holds the error begins. */
  readonly from: number;
}

function parsePieces(chunk: string): Pieces {
  const ranges: Read[] = [];
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
    for (const range of parse.ranges) ranges.push(read(range, from));
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

function lastPiece(before: readonly Read[], parse: Parse, text: string, from: number): Pieces {
  const ranges = parse.ok ? parse.ranges : rangesBefore(text, parse.offset);
  const all = [...before, ...ranges.map((range) => read(range, from))];
  if (parse.ok) return { ranges: all, failure: null };
  const { message, offset } = parse;
  return {
    ranges: all,
    failure: { message, offset: from + offset, from: from + (ranges.at(-1)?.next ?? 0) },
  };
}

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
import { firstToken } from "./sql/outline.ts";
import { type Limit, type Parse, parseRanges, type Range, type Tree } from "./sql/parser.ts";
import { digestTokens } from "./sql/tokens.ts";
import { touchesOf } from "./sql/touches.ts";

/** A migration's statements and the directives of the whole file, or the problem of its text. */
export type Cut =
  | ({ readonly ok: true; readonly statements: readonly Statement[] } & OfFile)
  | {
      readonly ok: false;
      readonly code: "SQL_INVALID";
      readonly problem: SqlProblem;
      /** The statements before the problem. */
      readonly statements: readonly Statement[];
    }
  | { readonly ok: false; readonly code: "DIRECTIVE_INVALID"; readonly problem: Misdirection };

/**
 * Takes the parse tree of a statement, by the statement's index in its file. The tree is null where `parseTree` of the
 * statement's own text would give another tree. It is null for a long statement, too: a tree takes a hundred times the
 * memory of its text.
 */
type KeepTree = (index: number, kind: string, tree: Tree | null) => void;

/** Facts about the whole file. Keys are absent when there is nothing to say. */
interface OfFile {
  readonly directives?: FileDirectives;
  readonly lineEndsMatter?: true;
}

/**
 * The length of a piece, in UTF-16 units. Long chunks are parsed piece by piece, because the parse tree of 8 MB takes
 * 0.8 GB. A statement is never cut, whatever its length: a single INSERT of 8 MB still takes that memory.
 */
const PIECE_LENGTH = 256 * 1024;

/**
 * Cuts a migration's text into chunks at every breakpoint, as Drizzle does, and each chunk into statements. Reads the
 * directives above them.
 * @param keep gets the kind of each statement, with its parse tree where the tree is worth keeping
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
      const { spansLines, digest } = digestTokens(text.slice(range.start, range.end));
      if (spansLines) lines = { lineEndsMatter: true };
      const start = chunkStart + range.start;
      // Counted from the statement before: from the file's head, the time would grow with the square of its length.
      place = positionAt(sql.slice(at, start), start - at, place);
      at = start;
      const { line, column } = place;
      const span = { start, end: chunkStart + range.end, chunk, line, column, digest };
      const said = directivesOf(directives.statements.get(index));
      keep(statements.length, range.facts.kind, range.tree);
      statements.push({ ...span, ...range.facts, ...said });
    }
    if (failure !== null) {
      const where = { sql, chunkStart, index: statements.length + 1 };
      const problem = sqlProblem(where, text, failure);
      return { ok: false, code: "SQL_INVALID", problem, statements };
    }
    file = { ...file, ...directives.file };
    chunkStart += text.length + STATEMENT_BREAKPOINT.length;
  }
  return { ok: true, statements, ...lines, ...directivesOf(file) };
}

/** A statement's place in its chunk, and the facts of its parse tree. */
interface Read {
  readonly start: number;
  readonly end: number;
  readonly facts: Pick<Statement, "kind" | "mode" | "effect" | "touches">;
  /** Null where the tree is not worth keeping. */
  readonly tree: Tree | null;
}

const MAX_KEPT_LENGTH = 10_000;

/**
 * Reads the tree of a statement at once: the trees of a whole file would take too much memory.
 * @param text the piece of the chunk that holds the statement; it begins at `from` in the chunk
 */
function read({ start, end, kind, tree, ownPlaces }: Range, text: string, from: number): Read {
  const touches = touchesOf(tree);
  const facts = classify(tree, () => text.slice(start, end));
  return {
    start: start + from,
    end: end + from,
    facts: { kind, ...facts, ...(touches.length === 0 ? {} : { touches }) },
    tree: ownPlaces && end - start <= MAX_KEPT_LENGTH ? tree : null,
  };
}

/** A chunk's statements and their directives. */
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
  /** Number of the chunk's first statement, or of the one that is wrong; from 1. */
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
    torn: failure.beyond === undefined && isTorn(sql, chunkStart, text.length),
    ...(failure.beyond === undefined ? {} : { beyond: failure.beyond }),
  };
}

/** Cuts a chunk. The statement that a directive lets through unparsed is the chunk's last one. */
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
  /** The beginning of the statement with the error. */
  readonly from: number;
  readonly beyond?: Limit;
}

function parsePieces(chunk: string): Pieces {
  const ranges: Read[] = [];
  let from = 0;
  let length = PIECE_LENGTH;
  while (from < chunk.length) {
    const text = chunk.slice(from, pieceEnd(chunk, from, length));
    const parse = parseRanges(text);
    if (isExhaustion(parse)) return exhausted(ranges, parse, text, from);
    if (from + text.length === chunk.length) return lastPiece(ranges, parse, text, from);
    // Sound wherever the piece ends: once the grammar has taken a semicolon as the end of a statement, the text
    // behind it cannot change the statements before it.
    const { whole, next } = wholeIn(parse);
    length = next === null ? length * 2 : PIECE_LENGTH;
    if (next === null) continue;
    for (const range of whole) ranges.push(read(range, text, from));
    from += next;
  }
  return { ranges, failure: null };
}

/** Returns the statements of a piece, and the offset behind them; null where the last one does not end in it. */
function wholeIn(parse: Parse): { readonly whole: readonly Range[]; readonly next: number | null } {
  const whole = parse.ok ? parse.ranges : [];
  return { whole, next: whole.at(-1)?.next ?? null };
}

function pieceEnd(chunk: string, from: number, length: number): number {
  if (from + length >= chunk.length) return chunk.length;
  const back = chunk.lastIndexOf(";", from + length);
  const semicolon = back < from ? chunk.indexOf(";", from + length) : back;
  return semicolon < 0 ? chunk.length : semicolon + 1;
}

function lastPiece(before: readonly Read[], parse: Parse, text: string, from: number): Pieces {
  const ranges = parse.ok ? parse.ranges : rangesBefore(text, parse.offset);
  const all = [...before, ...ranges.map((range) => read(range, text, from))];
  if (parse.ok) return { ranges: all, failure: null };
  const { message, offset } = parse;
  return {
    ranges: all,
    failure: { message, offset: from + offset, from: from + (ranges.at(-1)?.next ?? 0) },
  };
}

/** Finds the statement that is too much for the parser: the parser itself gives up the whole text without a place. */
function exhausted(
  before: readonly Read[],
  { message, beyond }: Exhaustion,
  text: string,
  from: number,
): Pieces {
  const all = [...before];
  let at = 0;
  let tries = 0;
  for (let end = pieceEnd(text, at, 0); end < text.length; end = pieceEnd(text, end, 0)) {
    const piece = text.slice(at, end);
    const parse = parseRanges(piece);
    tries += 1;
    if (isExhaustion(parse) || tries > MAX_TRIES) break;
    // A semicolon inside a literal, a comment or a body ends no statement.
    if (!parse.ok || parse.ranges.at(-1)?.next !== end - at) continue;
    for (const range of parse.ranges) all.push(read(range, piece, from + at));
    at = end;
    tries = 0;
  }
  const start = from + at + firstToken(text.slice(at));
  return { ranges: all, failure: { message, offset: start, from: start, beyond } };
}

/** The search for a statement's end passes so many semicolons, then gives up. */
const MAX_TRIES = 50;

type Exhaustion = Parse & { readonly ok: false; readonly beyond: Limit };

function isExhaustion(parse: Parse): parse is Exhaustion {
  return !parse.ok && parse.beyond !== undefined;
}

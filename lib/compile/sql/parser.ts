/*
 * SQL, read with PostgreSQL's own parser. A text comes in, and its statements go out, with their places and parse
 * trees. The other files of this folder read facts from a tree: may the statement be in a transaction, which objects
 * does it touch, which tables did earlier statements leave. Nothing here connects to a database or judges a statement.
 */

import type { ParseResult } from "libpg-query";
import { unitsAt } from "../../bundle/text-position.ts";
import { library, loadLibrary } from "./library.ts";
import { calmed, leadingBlanks, outlineOf } from "./outline.ts";
import { scanBytes, trimComments } from "./scanner.ts";

/** One statement in a text, as PostgreSQL's parser cuts it. Offsets are UTF-16 units. */
export interface Range {
  /** Beginning of its first token, behind comments and blanks. */
  readonly start: number;
  /** End of its last token, before comments, blanks and the semicolon. */
  readonly end: number;
  /** The offset just behind its semicolon; null for a last statement without a semicolon. */
  readonly next: number | null;
  /** The name of its parse node: `CreateStmt`, `TransactionStmt` … */
  readonly kind: string;
  readonly tree: Tree;
  /** Whether the places in its tree count from its own first token, as in `parseTree` of its own text. */
  readonly ownPlaces: boolean;
}

/** A statement's parse tree: one key, the name of its node. */
export type Tree = Readonly<Record<string, unknown>>;

/** The answer of PostgreSQL's parser about a text: its statements, or its first error. */
export type Parse =
  | { readonly ok: true; readonly ranges: readonly Range[] }
  | {
      readonly ok: false;
      readonly message: string;
      readonly offset: number;
      /** A limit of the parser that the text exceeds, as far as the parser cannot say where. */
      readonly beyond?: Limit;
    };

/** The limits of the parser that a text can exceed. */
export type Limit = "depth" | "size" | "length";

const MAX_MESSAGE_LENGTH = 200;

/** The tree of a list takes about a kilobyte for each element: with more of them Node runs out of memory. */
const MAX_COMMAS = 1_000_000;

/** The parser has a memory of 1 GB, and takes several times the bytes of a text. */
const MAX_BYTES = 150_000_000;

const LIMITS: Readonly<Record<Limit, string>> = {
  depth:
    "this statement nests deeper than the parser can follow, as a chain of thousands of operators, casts, joins or UNIONs does",
  size: "this statement lists more than 1,000,000 values or names, and the parser's memory does not hold them",
  length:
    "this statement is longer than the parser's memory holds, which is at most 150 MB, and half of that or less where it has many line breaks or quotes",
};

function beyond(limit: Limit): Parse {
  return { ok: false, message: LIMITS[limit], offset: 0, beyond: limit };
}

/** The words of the parser, and of the library around it, where its memory is full. */
const OUT_OF_MEMORY =
  /^(?:out of memory$|No parse tree generated$|invalid memory alloc request size )/;

/** Finds the limit of the parser, which is WebAssembly, that an error comes from; null for any other error. */
function limitIn(error: unknown): Limit | null {
  if (error instanceof RangeError) return "depth";
  if (!(error instanceof Error)) return null;
  if (OUT_OF_MEMORY.test(error.message)) return "length";
  return error.name === "RuntimeError" ? "depth" : null;
}

/** Makes the parser ready; `parseRanges` is synchronous after that. */
export async function loadParser(): Promise<void> {
  await loadLibrary();
}

/** Cuts a text into statements with the parser of PostgreSQL 18. A text without a statement has no ranges. */
export function parseRanges(text: string): Parse {
  // Without the line's end that a breakpoint leaves in front, most trees count from their first token.
  const blanks = leadingBlanks(text);
  const rest = text.slice(blanks);
  if (rest === "") return { ok: true, ranges: [] };
  if (rest.length > MAX_COMMAS && outlineOf(rest).commas > MAX_COMMAS) return beyond("size");
  if (Buffer.byteLength(rest) > MAX_BYTES) return beyond("length");
  try {
    const { stmts = [] } = parseText(rest);
    const toUnits = unitsAt(rest, "bytes");
    return {
      ok: true,
      ranges: stmts.map(({ stmt = {}, stmt_location = 0, stmt_len }) => {
        const start = toUnits(stmt_location);
        const end = stmt_len === undefined ? rest.length : toUnits(stmt_location + stmt_len);
        const trimmed = trimComments(rest.slice(start, end));
        const first = start + trimmed.start;
        return {
          start: blanks + first,
          end: blanks + start + trimmed.end,
          next: stmt_len === undefined ? null : blanks + end + 1,
          kind: Object.keys(stmt)[0] ?? "",
          tree: asTree(stmt),
          ownPlaces: first === 0,
        };
      }),
    };
  } catch (error) {
    const limit = limitIn(error);
    if (limit !== null) return beyond(limit);
    if (!library().hasSqlDetails(error)) throw error;
    const offset = blanks + unitsAt(rest, "codePoints")(error.sqlDetails?.cursorPosition ?? 0);
    return { ok: false, message: firstLine(error.message), offset };
  }
}

/**
 * Returns the parse tree of one statement.
 * @throws Error where the text holds no statement. Call it only with a statement of a compiled bundle
 */
export function parseTree(text: string): Tree {
  const stmt = parseText(text).stmts?.[0]?.stmt;
  if (stmt === undefined) throw new Error("A statement of a compiled bundle has no parse tree.");
  return asTree(stmt);
}

/** The parser's own types name each node; a reader by key needs none of them. */
function asTree(stmt: object): Tree {
  return stmt as Tree;
}

/**
 * Parses a text; a text that is refused is tried again with blanks for its line comments. PostgreSQL reads
 * `'a' -- why ⏎ 'b'` as one literal. libpg-query 18.1.5 does not, because its scanner hands out comments as tokens.
 */
function parseText(given: string): ParseResult {
  const { parseSync } = library();
  const text = calmed(given);
  try {
    return parseSync(text);
  } catch (error) {
    if (limitIn(error) !== null) throw error;
    const blanked = withoutLineComments(text);
    if (blanked === null) throw error;
    try {
      return parseSync(blanked);
    } catch {
      throw error;
    }
  }
}

/** Puts spaces for the line comments of a text, byte for byte. Returns null for a text without comments or tokens. */
function withoutLineComments(text: string): string | null {
  if (!text.includes("--")) return null;
  try {
    const comments = scanBytes(text).filter(({ tokenName }) => tokenName === "SQL_COMMENT");
    const bytes = Buffer.from(text);
    for (const { start, end } of comments) bytes.fill(" ", start, end);
    return comments.length === 0 ? null : bytes.toString("utf8");
  } catch {
    // A literal or comment is unterminated. The parser's first error already says where it begins.
    return null;
  }
}

/** Shortens a message: that about an unterminated literal repeats the rest of the text, perhaps megabytes. */
function firstLine(message: string): string {
  const shown = (message.split("\n", 1)[0] ?? "").trimEnd().slice(0, MAX_MESSAGE_LENGTH);
  return shown === message ? message : `${shown}…`;
}

import { type Position, positionAt, unitsAt } from "../../bundle/text-position.ts";

/** Every so many units of a text there is a mark, from which the way to an offset is short. */
const STRIDE = 4_096;

/** A place in a statement. */
interface Place extends Position {
  /** Offset in UTF-8 bytes. */
  readonly bytes: number;
}

const TOP: Place = { line: 1, column: 1, bytes: 0 };

/** The last text that was asked about. Thousands of clauses of one statement are asked for in a row. */
let last: { readonly text: string; readonly marks: readonly Place[] } = { text: "", marks: [TOP] };

function marksOf(text: string): readonly Place[] {
  if (last.text === text) return last.marks;
  const marks = [TOP];
  let mark = TOP;
  for (let from = 0; from + STRIDE < text.length; from += STRIDE) {
    const piece = text.slice(from, from + STRIDE);
    // The halves of a pair count three bytes each on their own, and four together.
    const split = /[\ud800-\udbff]$/.test(piece) ? 2 : 0;
    const bytes = mark.bytes + Buffer.byteLength(piece) - split;
    mark = { ...positionAt(piece, piece.length, mark), bytes };
    marks.push(mark);
  }
  last = { text, marks };
  return marks;
}

/**
 * Returns the place of an offset in a statement: its line and column in the statement's text, and its UTF-16 units.
 * @param start in UTF-8 bytes, as parse trees count
 */
export function placeIn(text: string, start: number): Position & { readonly units: number } {
  const marks = marksOf(text);
  const index = Math.max(
    marks.findLastIndex(({ bytes }) => bytes <= start),
    0,
  );
  const mark = marks[index] ?? TOP;
  const rest = text.slice(index * STRIDE);
  const units = unitsAt(rest, "bytes")(start - mark.bytes);
  return { ...positionAt(rest, units, mark), units: index * STRIDE + units };
}

/**
 * Returns the text of one clause, such as a constraint or a column. The clause begins at an offset. It ends before the
 * comma or bracket that closes it, or with the statement. Commas and brackets in literals and quoted names do not count.
 * @param start in UTF-8 bytes, as parse trees count
 */
export function clauseAt(text: string, start: number): string {
  const rest = text.slice(placeIn(text, start).units);
  let depth = 0;
  for (const { 0: token, index } of rest.matchAll(/'[^']*'|"[^"]*"|[()[\],]/g)) {
    depth += DEPTHS[token] ?? 0;
    if (depth < 0 || (depth === 0 && token === ",")) return rest.slice(0, index).trim();
  }
  return rest.trim();
}

const DEPTHS: Readonly<Record<string, number>> = { "(": 1, "[": 1, ")": -1, "]": -1 };

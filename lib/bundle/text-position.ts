/**
 * Positions in a text. Offsets come in as the server, the parser or the scanner counts them. UTF-16 units, a line
 * with its column, or a line with a caret below go out. Nothing here reads more than the text that it is given.
 */

/** A place in a file. */
export interface Position {
  /** From 1; a line ends at its line feed. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

const TOP: Position = { line: 1, column: 1 };

/**
 * Returns the line and column of an offset.
 * @param offset in UTF-16 units
 * @param begin position of the text itself, for a part of a file. Default: the top of the file
 */
export function positionAt(text: string, offset: number, begin: Position = TOP): Position {
  const lines = text.slice(0, offset).split("\n");
  const { length = 0 } = lines.at(-1) ?? "";
  return {
    line: begin.line + lines.length - 1,
    column: length + (lines.length === 1 ? begin.column : 1),
  };
}

/**
 * Converts offsets into UTF-16 units. The scanner and the parser count bytes of UTF-8, the server and the
 * parser's errors count code points.
 * @returns a function of an offset from 0; the offsets that it is given may only rise
 */
export function unitsAt(text: string, counted: "bytes" | "codePoints"): (offset: number) => number {
  let units = 0;
  let passed = 0;
  return (offset) => {
    while (passed < offset && units < text.length) {
      const point = text.codePointAt(units) ?? 0;
      units += point > 0xffff ? 2 : 1;
      passed += counted === "bytes" ? bytesOf(point) : 1;
    }
    return units;
  };
}

function bytesOf(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point > 0xffff ? 4 : 3;
}

/** The part of a line that an excerpt shows. */
interface Extent {
  /** Units before the place. Default: 60. The text from the place on gets those that a short line leaves. */
  readonly before?: number;
  /** Units from the place on. Default: 60. The text before the place gets those that a short line leaves. */
  readonly behind?: number;
  /** Text at the end of the line that is left out. Default: a carriage return. */
  readonly tail?: RegExp;
  /** End of the text above the carets. Default: one caret. */
  readonly end?: Position;
}

/** A line of a text, with the parts of the line below it. */
export interface Excerpt {
  readonly shown: string;
  /** Blanks as wide as the text before the place. */
  readonly indent: string;
  readonly carets: string;
}

/**
 * Returns the line of a place, with carets under the text that begins there. A long line is cut around the place, and an
 * ellipsis stands where something is left out.
 */
export function excerpt(text: string, place: Position, extent: Extent = {}): Excerpt {
  const { before = 60, behind = 60, tail = /\r$/, end = place } = extent;
  const line = (text.split("\n", place.line)[place.line - 1] ?? "").replace(tail, "");
  const at = place.column - 1;
  const from = Math.max(0, Math.min(at - before, line.length - before - behind));
  const to = from + before + behind;
  const head = from === 0 ? line.slice(0, at) : `…${line.slice(from + 1, at).replace(HALF, "")}`;
  const rest = to >= line.length ? line.slice(at) : `${line.slice(at, to - 1).replace(HALF, "")}…`;
  const wanted = end.line === place.line ? end.column - place.column : rest.length;
  return {
    shown: `${head}${rest}`,
    indent: head.replace(/[^\t]/gu, " "),
    carets: "^".repeat(Math.max(1, Math.min(wanted, rest.length))),
  };
}

/** Half a character, where a cut has come between its two units. */
const HALF = /^[\udc00-\udfff]|[\ud800-\udbff]$/g;

import type { Statement } from "./bundle.ts";

/** The server counts characters, that is code points, from 1; a JavaScript string counts UTF-16 units. */
export function offsetOf(sql: string, from: number, position: number): number {
  let offset = from;
  for (let passed = 1; passed < position; passed += 1) {
    offset += (sql.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

export function positionOf(
  sql: string,
  offset: number,
): { readonly line: number; readonly column: number } {
  const before = sql.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

/** Line and column, from 1, of rising offsets; a line ends at its line feed. */
export function places(sql: string): (offset: number) => Pick<Statement, "line" | "column"> {
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

/** The parser counts the place of an error in code points, from 0. */
export function unitsOfCodePoints(text: string, target: number): number {
  let units = 0;
  let points = 0;
  for (const character of text) {
    if (points === target) return units;
    units += character.length;
    points += 1;
  }
  return units;
}

/** The scanner and the parser count in UTF-8 bytes. The function it returns takes rising offsets only. */
export function unitsOfBytes(text: string): (target: number) => number {
  const bytes = Buffer.from(text);
  if (bytes.length === text.length) return (target) => target;
  let atByte = 0;
  let atUnit = 0;
  return (target) => {
    atUnit += bytes.toString("utf8", atByte, target).length;
    atByte = target;
    return atUnit;
  };
}

/** The UTF-16 offset of a byte of a text. */
export function unitsOf(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString("utf8").length;
}

/** How much of a long line is shown on each side of an error. */
const EXCERPT_REACH = 60;

/** The line of an error with a caret under its place. */
export function caretExcerpt(sql: string, line: number, column: number): string {
  const text = (sql.split("\n", line).at(-1) ?? "").replace(/\r$/, "");
  const from = Math.max(0, column - 1 - EXCERPT_REACH);
  const shown = text.slice(from, column - 1 + EXCERPT_REACH);
  const indent = text.slice(from, column - 1).replace(/[^\t]/gu, " ");
  return `${shown}\n${indent}^`;
}

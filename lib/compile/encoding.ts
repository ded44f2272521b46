import { isUtf8 } from "node:buffer";
import type { ErrorCode } from "../errors.ts";

/** The reason why bytes are no text that PostgreSQL takes, and the place. */
export interface Defect {
  /** Default: `MIGRATION_FILE_UNREADABLE`. */
  readonly code?: ErrorCode;
  /** From 1. Default: 1. */
  readonly line?: number;
  /** From 1, in UTF-16 units. Default: 1. */
  readonly column?: number;
  readonly reason: string;
}

/** The first bytes of a file, by the encoding that they stand for. The first that fits counts. */
const MARKS: readonly (readonly [readonly number[], string])[] = [
  [[0xff, 0xfe, 0, 0], "UTF-32"],
  [[0, 0, 0xfe, 0xff], "UTF-32"],
  [[0xff, 0xfe], "UTF-16"],
  [[0xfe, 0xff], "UTF-16"],
];

/** Finds the reason why bytes cannot be sent to PostgreSQL as they are; null where they can. */
export function defectOf(bytes: Buffer): Defect | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    const reason =
      "the file starts with a byte order mark, which PostgreSQL refuses as a syntax error. Save it as UTF-8 without BOM.";
    return { code: "BYTE_ORDER_MARK", reason };
  }
  const [, encoding] = MARKS.find(([mark]) => mark.every((byte, at) => bytes[at] === byte)) ?? [];
  if (encoding !== undefined) return { reason: otherEncoding(encoding) };
  // A zero byte ends a query, which PostgreSQL takes as a C string.
  const zero = bytes.indexOf(0);
  if (zero >= 0) return zeroByte(bytes, zero);
  return isUtf8(bytes) ? null : notUtf8(bytes);
}

function otherEncoding(encoding: string): string {
  return `the file is ${encoding}, as some editors and PowerShell's ">" write it, and PostgreSQL takes UTF-8. Save it as UTF-8 without BOM. ${NOWHERE}`;
}

const NOWHERE =
  "Drizzle's own migrator cannot have applied it as it is, so that no ledger holds its hash.";

function zeroByte(bytes: Buffer, zero: number): Defect {
  // A text in a Latin script has a zero in every second byte of UTF-16, and never two of them in a row.
  const head = bytes.subarray(0, 64);
  const zeros = head.filter((byte) => byte === 0).length;
  if (zeros * 3 > head.length && !head.includes("\0\0")) {
    return { reason: otherEncoding("UTF-16 without a byte order mark") };
  }
  const place = placeIn(bytes, zero);
  return {
    ...place,
    reason: `a zero byte stands here, and no text in PostgreSQL can hold one. Remove it, or restore the file if it is damaged. ${NOWHERE}`,
  };
}

/** Latin-1 text, for one, is not valid UTF-8. Drizzle reads replacement characters there, and applies the file. */
function notUtf8(bytes: Buffer): Defect {
  let from = 0;
  for (let line = 1; ; line += 1) {
    const end = bytes.indexOf(0x0a, from);
    const text = bytes.subarray(from, end < 0 ? bytes.length : end + 1);
    if (!isUtf8(text) || end < 0) return { line, column: columnIn(text), reason: NOT_UTF8 };
    from = end + 1;
  }
}

const NOT_UTF8 =
  "the file is not valid UTF-8 here, perhaps Latin-1 (Windows-1252). Save it as UTF-8 without BOM. Where Drizzle's own migrator applied it, the file is reported as modified after that, and it never runs again: look there for replacement characters (U+FFFD) in the place of the letters.";

/** The column of the first byte that is not UTF-8 in a line that holds one. */
function columnIn(line: Buffer): number {
  const lenient = line.toString("utf8");
  let column = 0;
  let bytes = 0;
  for (const character of lenient) {
    const encoded = Buffer.from(character);
    if (!encoded.equals(line.subarray(bytes, bytes + encoded.length))) break;
    bytes += encoded.length;
    column += character.length;
  }
  return column + 1;
}

function placeIn(
  bytes: Buffer,
  offset: number,
): { readonly line: number; readonly column: number } {
  const before = bytes.toString("utf8", 0, offset);
  const begin = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: before.length - begin + 1 };
}

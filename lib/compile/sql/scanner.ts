import type { scanSync } from "libpg-query";
import { unitsAt } from "../../bundle/text-position.ts";
import { library } from "./library.ts";
import { BLANKS, calmed } from "./outline.ts";

/** One token of PostgreSQL's scanner, comments included. Offsets are UTF-16 units. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The kind of comment; null for any other token. */
  readonly comment: "line" | "block" | null;
}

const COMMENTS: Readonly<Record<string, Token["comment"]>> = {
  SQL_COMMENT: "line",
  C_COMMENT: "block",
};

/**
 * Returns the tokens of a text.
 * @throws SyntaxError where a literal or comment is unterminated
 */
export function scanTokens(text: string): readonly Token[] {
  const toUnits = unitsAt(text, "bytes");
  return scanBytes(text).map((token) => {
    const start = toUnits(token.start);
    const end = toUnits(token.end);
    return { start, end, text: text.slice(start, end), comment: COMMENTS[token.tokenName] ?? null };
  });
}

/** Finds the beginning and end of a statement's text, without the comments and blanks around it. */
export function trimComments(text: string): { readonly start: number; readonly end: number } {
  if (!text.includes("--") && !text.includes("/*")) {
    // Without either opener there is no comment, and the scanner, most of the cost, is not needed.
    let end = text.length;
    while (end > 0 && BLANKS.includes(text.charAt(end - 1))) end -= 1;
    return { start: 0, end };
  }
  const real = scanTokens(text).filter(({ comment }) => comment === null);
  const [first] = real;
  const last = real.at(-1);
  if (first === undefined || last === undefined) {
    throw new Error(`PostgreSQL's parser and scanner disagree about ${JSON.stringify(text)}`);
  }
  return { start: first.start, end: last.end };
}

/**
 * Returns the tokens of a text, comments included, with offsets in UTF-8 bytes. Spaces stand for control characters:
 * libpg-query 18.1.5 writes these unescaped into its JSON, which then cannot be read. They are legal inside literals and
 * comments only, where a space of equal length changes no token's place.
 * @throws SyntaxError where a literal or comment is unterminated
 */
export function scanBytes(text: string): ReturnType<typeof scanSync>["tokens"] {
  return library().scanSync(calmed(text).replace(/(?![\t\n\r\u{7f}-\u{9f}])\p{Cc}/gu, " ")).tokens;
}

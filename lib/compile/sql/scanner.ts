import { scanSync } from "libpg-query";
import { unitsAt } from "../../bundle/text-position.ts";

/** One token of PostgreSQL's scanner, comments included. Offsets are UTF-16 units. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Which kind of comment it is; null for everything else. */
  readonly comment: "line" | "block" | null;
}

const COMMENTS: Readonly<Record<string, Token["comment"]>> = {
  SQL_COMMENT: "line",
  C_COMMENT: "block",
};

/**
 * The tokens of a text.
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

/** What `scan.l` of PostgreSQL takes for a blank; a no-break space, say, is part of a name there. */
const BLANKS = " \t\n\r\f\v";

/** How many blanks a text begins with. */
export function leadingBlanks(text: string): number {
  let count = 0;
  while (count < text.length && BLANKS.includes(text.charAt(count))) count += 1;
  return count;
}

/** Where a statement's text begins and ends once the comments and blanks around it are left out. */
export function trimComments(text: string): { readonly start: number; readonly end: number } {
  if (!text.includes("--") && !text.includes("/*")) {
    // Without either opener there is no comment: the scanner, most of the cost, is spared.
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
 * The tokens of a text, comments included, with offsets in UTF-8 bytes. libpg-query 18.1.5 writes a
 * token's control characters into its JSON unescaped, which then cannot be read. They are legal
 * inside literals and comments only, where a space of equal length cuts no token differently.
 * @throws SyntaxError where a literal or comment is unterminated
 */
export function scanBytes(text: string): ReturnType<typeof scanSync>["tokens"] {
  return scanSync(text.replace(/(?![\t\n\r\u{7f}-\u{9f}])\p{Cc}/gu, " ")).tokens;
}

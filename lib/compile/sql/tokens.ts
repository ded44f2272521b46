import { createHash } from "node:crypto";
import { DIGEST_LENGTH } from "../../bundle/bundle.ts";
import { scanTokens } from "./scanner.ts";

/** What a statement says, whatever comments and blanks stand between its words. */
interface TokenDigest {
  /** Hex; equal for statements that differ in comments and blanks only. */
  readonly digest: string;
  /** Whether a literal or a name in it holds a line's end, so that LF and CRLF are not the same. */
  readonly spansLines: boolean;
}

/** The tokens of a longer text would take hundreds of megabytes; its digest is that of its bytes. */
const MAX_SCANNED = 256 * 1024;

/** Digests the tokens of a statement: case and literals count, comments and the blanks between tokens do not. */
export function digestTokens(text: string): TokenDigest {
  const tokens = text.length > MAX_SCANNED ? [text] : wordsOf(text);
  // The length keeps two tokens from passing for one.
  const counted = tokens.map((token) => `${token.length}:${token}`).join("");
  const digest = createHash("sha256").update(counted).digest("hex").slice(0, DIGEST_LENGTH);
  return { digest, spansLines: tokens.some((token) => token.includes("\n")) };
}

function wordsOf(text: string): readonly string[] {
  try {
    return scanTokens(text)
      .filter(({ comment }) => comment === null)
      .map((token) => token.text);
  } catch {
    // Only what a directive lets through unparsed can have literals that this scanner does not know.
    return [text];
  }
}

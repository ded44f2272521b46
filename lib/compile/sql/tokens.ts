import { hash } from "node:crypto";
import { DIGEST_LENGTH } from "../../bundle/bundle.ts";
import { library } from "./library.ts";
import { plainWords } from "./plain-words.ts";
import { scanTokens } from "./scanner.ts";

/** The digest of a statement's tokens, whatever comments and blanks stand between them. */
interface TokenDigest {
  /** Hex; equal for statements that differ in comments and blanks only. */
  readonly digest: string;
  /** Whether a literal or a name holds a line's end: then LF and CRLF are not the same. */
  readonly spansLines: boolean;
}

/** The tokens of a longer text would take hundreds of megabytes; its digest is that of its bytes. */
const MAX_SCANNED = 256 * 1024;

/** Digests the tokens of a statement. Case and literals count; comments, and blanks between tokens, do not. */
export function digestTokens(text: string): TokenDigest {
  const tokens = text.length > MAX_SCANNED ? [text] : wordsOf(text);
  // Without the lengths, two tokens could have the digest of one.
  const counted = tokens.map((token) => `${token.length}:${token}`).join("");
  const digest = hash("sha256", counted, "hex").slice(0, DIGEST_LENGTH);
  return { digest, spansLines: tokens.some((token) => token.includes("\n")) };
}

function wordsOf(text: string): readonly string[] {
  return plainWords(text) ?? scannedWords(text);
}

/** @throws Error before the parser is loaded: without it every text would be one token */
function scannedWords(text: string): readonly string[] {
  library();
  try {
    return scanTokens(text)
      .filter(({ comment }) => comment === null)
      .map((token) => token.text);
  } catch {
    // Only a statement that a directive lets through unparsed can have literals that this scanner does not know.
    return [text];
  }
}

import { BLANKS } from "./outline.ts";

/*
 * One token, by the words of PostgreSQL's `scan.l`. Each alternative says what may not stand behind it, wherever the scanner
 * would read on: a prefix such as E before a quote, a literal that goes on behind a line's end, an operator that is longer.
 */
const PLAIN = new RegExp(
  [
    "[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*(?![\\w$\\u0080-\\uffff'&])",
    '"(?:[^"]|"")+"(?!")',
    "'(?:[^'\\\\]|'')*'(?!'|[ \\t\\n\\r\\f\\v]*')",
    "\\d+(?:\\.\\d+)?(?![\\w$.\\u0080-\\uffff])",
    "[,()[\\];]|\\.(?![\\d.])|::(?![:=])",
    "(?:<=|>=|<>|!=|\\|\\||->>?|[-=<>*+/%])(?![~!@#^&|`?+\\-*/%<>=])",
    "(\\$(?:[A-Za-z_\\u0080-\\uffff][\\w\\u0080-\\uffff]*)?\\$)[^]*?\\1",
  ].join("|"),
  "y",
);

/**
 * Cuts a statement into its tokens where all of them are plain: words, names, literals without a prefix, and the usual
 * operators. It is forty times as fast as the scanner, which answers in JSON. A test compares both on random texts.
 * @returns null for a text with anything else, such as a comment: only the scanner can tell then
 */
export function plainWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (BLANKS.includes(text.charAt(at))) {
      at += 1;
      continue;
    }
    PLAIN.lastIndex = at;
    if (!PLAIN.test(text)) return null;
    words.push(text.slice(at, PLAIN.lastIndex));
    at = PLAIN.lastIndex;
  }
  return words;
}

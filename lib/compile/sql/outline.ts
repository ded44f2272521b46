/** The blanks of PostgreSQL's `scan.l`. It takes a no-break space, for example, for a part of a name. */
export const BLANKS: string = " \t\n\r\f\v";

/** Counts the blanks at the beginning of a text. */
export function leadingBlanks(text: string): number {
  let count = 0;
  while (count < text.length && BLANKS.includes(text.charAt(count))) count += 1;
  return count;
}

/** The parts of a text that cost the parser more than their length. */
interface Outline {
  /** Offsets of the marks of comments that lie inside another comment, two units each. */
  readonly nested: readonly number[];
  /** Number of commas outside literals, names and comments. */
  readonly commas: number;
}

const OPENER = /['",]|--|\/\*|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/g;
const COMMENT_MARK = /\/\*|\*\//g;
const WORD = /[\w$\u0080-\uffff]/;

/** Finds the literals and comments of a text in one pass, by the words of PostgreSQL's `scan.l`. */
export function outlineOf(text: string): Outline {
  const nested: number[] = [];
  let commas = 0;
  OPENER.lastIndex = 0;
  for (let found = OPENER.exec(text); found !== null; found = OPENER.exec(text)) {
    const { 0: opener, index } = found;
    if (opener === ",") commas += 1;
    else OPENER.lastIndex = endOf(text, opener, index, nested);
  }
  return { nested, commas };
}

/** Returns the offset behind a literal, a name or a comment; the text's end where it is not closed. */
function endOf(text: string, opener: string, index: number, nested: number[]): number {
  const inside = index + opener.length;
  if (opener === "/*") return commentEnd(text, inside, nested);
  if (opener === "--") return behind(text, "\n", inside);
  if (opener !== "'") return dollarOrName(text, opener, index);
  const escapes = /e/i.test(text.charAt(index - 1)) && !WORD.test(text.charAt(index - 2));
  let end = behind(text, "'", inside);
  while (escapes && end < text.length && isEscaped(text, end - 1)) end = behind(text, "'", end);
  return end;
}

function dollarOrName(text: string, opener: string, index: number): number {
  // A dollar inside a name, as in a$b$c, opens nothing.
  if (opener !== '"' && WORD.test(text.charAt(index - 1))) return index + 1;
  return behind(text, opener, index + opener.length);
}

function behind(text: string, closer: string, from: number): number {
  const at = text.indexOf(closer, from);
  return at < 0 ? text.length : at + closer.length;
}

function isEscaped(text: string, quote: number): boolean {
  let before = quote;
  while (text.charAt(before - 1) === "\\") before -= 1;
  return (quote - before) % 2 === 1;
}

function commentEnd(text: string, from: number, nested: number[]): number {
  let depth = 1;
  COMMENT_MARK.lastIndex = from;
  for (let mark = COMMENT_MARK.exec(text); mark !== null; mark = COMMENT_MARK.exec(text)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.index + 2;
    nested.push(mark.index);
  }
  return text.length;
}

/** Returns the offset of the first token behind blanks and comments. */
export function firstToken(text: string): number {
  let at = leadingBlanks(text);
  for (let end = at; ; at = end + leadingBlanks(text.slice(end))) {
    const opener = text.slice(at, at + 2);
    if (opener !== "--" && opener !== "/*") return at;
    end = endOf(text, opener, at, []);
  }
}

/** PostgreSQL's scanner reads a run of these characters again from each mark in it. */
const LONG_RUN = /[~!@#^&|`?+\-*/%<>=]{256}/;

/** Puts blanks for the nested marks in long runs of them. PostgreSQL takes time with the square of such a run. */
export function calmed(text: string): string {
  if (!LONG_RUN.test(text)) return text;
  let from = 0;
  const parts: string[] = [];
  for (const at of outlineOf(text).nested) {
    parts.push(text.slice(from, at));
    from = at + 2;
  }
  return [...parts, text.slice(from)].join("  ");
}

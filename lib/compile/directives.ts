import type { FileDirectives, StatementDirectives } from "../bundle/bundle.ts";
import { RULE_IDS, type RuleId } from "../bundle/rule-ids.ts";
import { quoted } from "../text.ts";
import { scanTokens, type Token } from "./sql/scanner.ts";

/** The directives of one chunk. */
export interface ChunkDirectives {
  readonly file: FileDirectives;
  /** The directives above a statement, by the statement's index in the chunk. */
  readonly statements: ReadonlyMap<number, StatementDirectives>;
}

/** A directive that cannot be followed. */
export class DirectiveProblem extends Error {
  /** Beginning of the directive's comment in the chunk, in UTF-16 units. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.name = "DirectiveProblem";
    this.offset = offset;
  }
}

/** A part of a chunk, in UTF-16 units. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** One directive comment. */
interface Directive extends Span {
  readonly name: DirectiveName;
  /** The text behind its name. */
  readonly words: string;
}

const MARK = "neon-migrate";
const NAMES = ["no-transaction", "lock-timeout", "allow", "unparsed"] as const;
type DirectiveName = (typeof NAMES)[number];

const LINE_COMMENT = new RegExp(`^--+[ \\t]*${MARK}[ \\t]*:(.*)$`, "s");
const BLOCK_COMMENT = new RegExp(`^/\\*+\\s*${MARK}\\s*:`);
const COLON_MISSING = new RegExp(`^--+[ \\t]*${MARK}[ \\t]+(${NAMES.join("|")})\\b`);

/**
 * Reads the directive comments of a chunk. The same words inside a literal or a function's body are not a directive.
 * A directive at the head of a file, with a blank line or a breakpoint below it, holds for the whole file.
 * @param statements the places of the chunk's statements, in order
 * @param head the directives of the whole file so far; null where a statement stands before this chunk
 * @throws DirectiveProblem for the first directive that cannot be followed
 */
export function readDirectives(
  chunk: string,
  statements: readonly Span[],
  head: FileDirectives | null,
): ChunkDirectives {
  let file = head ?? {};
  const found = new Map<number, StatementDirectives>();
  if (!chunk.includes(MARK)) return { file, statements: found };
  for (const { directive, index, below } of placedDirectives(chunk, statements)) {
    const statement = statements[index];
    const atHead = head !== null && index === 0;
    if (atHead && isOfFile(directive, below, statement)) file = withFile(file, directive);
    else if (statement === undefined) throw problem(directive, NOTHING_BELOW);
    else found.set(index, withStatement(found.get(index) ?? {}, directive));
  }
  return { file, statements: found };
}

/** A directive and the statement below it. */
interface Placed {
  readonly directive: Directive;
  /** Index of the statement that follows; the number of statements where none follows. */
  readonly index: number;
  /** The text from the directive to that statement. */
  readonly below: string;
}

function placedDirectives(chunk: string, statements: readonly Span[]): readonly Placed[] {
  const starts = [...statements.map(({ start }) => start), chunk.length];
  for (const statement of statements) refuseInside(chunk, statement);
  return starts.flatMap((start, index) =>
    directivesIn(chunk, statements[index - 1]?.end ?? 0, start).map((directive) => ({
      directive,
      index,
      below: chunk.slice(directive.end, start),
    })),
  );
}

const NOTHING_BELOW =
  "no statement stands below it. Put it on the line above the statement that it is for";

function isOfFile({ name }: Directive, below: string, statement: Span | undefined): boolean {
  if (name === "no-transaction") return true;
  if (name === "unparsed") return false;
  return statement === undefined || /\n[ \t\r]*\n/.test(below);
}

function directivesIn(chunk: string, start: number, end: number): readonly Directive[] {
  const text = chunk.slice(start, end);
  if (!text.includes(MARK)) return [];
  return scanTokens(text).flatMap((token) => {
    const comment = { ...token, start: token.start + start, end: token.end + start };
    const directive = directiveOf(comment);
    if (directive === null) return [];
    const lineStart = chunk.lastIndexOf("\n", comment.start - 1) + 1;
    if (chunk.slice(comment.start === 0 ? 0 : lineStart, comment.start).trim() !== "") {
      throw problem(comment, "it does not stand on a line of its own");
    }
    return [directive];
  });
}

function refuseInside(chunk: string, { start, end }: Span): void {
  const text = chunk.slice(start, end);
  if (!text.includes(MARK)) return;
  for (const token of tokensIfAny(text)) {
    const comment = { ...token, start: token.start + start, end: token.end + start };
    if (directiveOf(comment) === null) continue;
    throw problem(comment, "it stands inside a statement. Put it on the line above the statement");
  }
}

/** A statement for a newer server may have literals that this scanner cannot read. Then it gives no tokens. */
function tokensIfAny(text: string): readonly Token[] {
  try {
    return scanTokens(text);
  } catch {
    return [];
  }
}

/** Returns null for an ordinary comment, and for a token that is no comment. */
function directiveOf(token: Token): Directive | null {
  const { text, comment, start, end } = token;
  if (comment === null) return null;
  if (comment === "block") {
    if (!BLOCK_COMMENT.test(text)) return null;
    throw problem(token, `a directive is a line comment: -- ${MARK}: …`);
  }
  const body = LINE_COMMENT.exec(text)?.[1]?.trim();
  if (body === undefined) {
    if (!COLON_MISSING.test(text)) return null;
    throw problem(token, `a colon is missing: -- ${MARK}: …`);
  }
  const [first = ""] = body.split(/\s/, 1);
  const name = NAMES.find((each) => each === first);
  if (name !== undefined) return { name, words: body.slice(first.length).trim(), start, end };
  throw problem(token, `there is no directive ${quoted(first)}. There are: ${NAMES.join(", ")}`);
}

function withFile(file: FileDirectives, directive: Directive): FileDirectives {
  if (directive.name !== "no-transaction") return withBoth(file, directive);
  if (directive.words !== "") throw problem(directive, "nothing may stand behind no-transaction");
  return { ...file, noTransaction: true };
}

function withStatement(before: StatementDirectives, directive: Directive): StatementDirectives {
  switch (directive.name) {
    case "no-transaction":
      throw problem(
        directive,
        "no-transaction is said of a whole file. Put it above the file's first statement",
      );
    case "unparsed":
      if (directive.words !== "") throw problem(directive, "nothing may stand behind unparsed");
      return before;
    default:
      return withBoth(before, directive);
  }
}

/** Adds a directive that a file and a statement may both have. */
function withBoth<Said extends StatementDirectives>(before: Said, directive: Directive): Said {
  if (directive.name === "allow") {
    const allow = new Set([...(before.allow ?? []), ...rulesOf(directive)]);
    return { ...before, allow: [...allow] };
  }
  if (before.lockTimeoutMs !== undefined) {
    throw problem(directive, "lock-timeout is said twice of the same place");
  }
  return { ...before, lockTimeoutMs: durationOf(directive) };
}

function rulesOf(directive: Directive): readonly RuleId[] {
  const words = directive.words.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length === 0) {
    throw problem(directive, "allow must name a rule of docs/reference/rules.md");
  }
  return words.map((word) => {
    const rule = RULE_IDS.find((each) => each === word);
    if (rule !== undefined) return rule;
    throw problem(
      directive,
      `there is no rule ${quoted(word)}. docs/reference/rules.md has them all`,
    );
  });
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000 };

/** The longest wait for a lock that a directive may ask for: 24 h. */
const MAX_LOCK_TIMEOUT_MS = 86_400_000;

function durationOf(directive: Directive): number {
  const [, count = "", unit = ""] = /^(\d{1,9})\s*(ms|s|min)$/.exec(directive.words) ?? [];
  const durationMs = Number(count) * (UNITS_MS[unit] ?? 0);
  if (durationMs >= 1 && durationMs <= MAX_LOCK_TIMEOUT_MS) return durationMs;
  throw problem(
    directive,
    `${quoted(directive.words)} is no duration. Write a number and ms, s or min, from 1ms to 1440min: lock-timeout 30s`,
  );
}

function problem({ start }: Span, message: string): DirectiveProblem {
  return new DirectiveProblem(start, message);
}

/**
 * Finds the `unparsed` directive, which lets through a last statement that this parser cannot read.
 * @returns the offset just behind the directive; null for a chunk without one
 */
export function findUnparsed(chunk: string): number | null {
  if (!chunk.includes(MARK) || !chunk.includes("unparsed")) return null;
  const found = tokensIfAny(chunk).find(
    ({ text, comment }) =>
      comment === "line" && LINE_COMMENT.exec(text)?.[1]?.trim() === "unparsed",
  );
  return found?.end ?? null;
}

/**
 * Finds the statement that an `unparsed` directive lets through. The statement ends where its chunk ends.
 * @param from the offset just behind the directive
 * @throws DirectiveProblem where no statement follows, or more than one
 */
export function unparsedStatement(chunk: string, from: number): Span {
  const tokens = scanTokens(chunk.slice(from)).filter(({ comment }) => comment === null);
  const last = tokens.findLast(({ text }) => text !== ";");
  const [first] = tokens;
  if (first === undefined || last === undefined) throw new DirectiveProblem(from, NOTHING_BELOW);
  const ended = tokens.find(({ text, end }) => text === ";" && end < last.start);
  const isBody = tokens.some(({ text }) => text.toLowerCase() === "atomic");
  if (ended !== undefined && !isBody) {
    throw new DirectiveProblem(
      from + ended.start,
      "more stands behind the statement that is let through unparsed. Put a statement breakpoint behind it",
    );
  }
  return { start: from + first.start, end: from + last.end };
}

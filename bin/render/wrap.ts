import { brokenLines } from "./on-demand.ts";
import { widthOf } from "./width.ts";

/** Stands for a blank at which no line breaks. No text of ours, and hardly one from outside, has this character. */
const GLUE = "\ue000";

/** Commands and statements, which a reader copies: no line breaks inside. Prose between is left as it is. */
const COPIED =
  /\b(?:npx )?(?:neon-migrate|npm|drizzle-kit) [a-z]+(?: --?[a-z][a-z-]*(?: [^\s-][^\s,;]*)?)*|\b(?:alter|create|delete|drop|rollback prepared|select|update) (?:(?!\. )[^;\n]){1,300};/gi;

/** Words that belong together: a number with its unit, a kind with its name. */
const TOGETHER = /\b\d[\d.,]* (?:[kMGT]?B|m?s|min)\b|\b(?:PostgreSQL|as|ledger|pid|role) [^\s,;]+/g;

/** The least columns that a line of prose gets, however narrow the terminal is. */
const MIN_COLUMNS = 16;

/**
 * Breaks the lines of a text between words, so that each fits. A line that goes on is indented by two more blanks than it
 * begins: it must not look like a line of ours. Colours go on, too.
 * @param width columns of the terminal. Default: no limit
 */
export function wrapped(text: string, width: number = Number.POSITIVE_INFINITY): string {
  if (width === Number.POSITIVE_INFINITY) return text;
  return text
    .split("\n")
    .map((line) => wrappedLine(line, width))
    .join("\n");
}

function glue(text: string): string {
  return text.replaceAll(" ", GLUE);
}

function wrappedLine(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  const indent = /^ */.exec(line)?.[0] ?? "";
  const hang = `${indent}  `;
  const glued = line.slice(indent.length).replace(COPIED, glue).replace(TOGETHER, glue);
  const columns = Math.max(width - hang.length, MIN_COLUMNS);
  const lines = brokenLines(glued, columns).map((each) => each.replaceAll(GLUE, " "));
  return `${indent}${lines.join(`\n${hang}`)}`;
}

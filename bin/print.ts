import { fstatSync } from "node:fs";
import pc from "picocolors";
import type { Colors } from "picocolors/types.js";
import { printableJson } from "../lib/text.ts";

/** The answer of a command. */
interface Answer {
  readonly value: object;
  /** Whether it is a failure, and no result. */
  readonly failed: boolean;
  /** Makes the text for a person. The width is that of the terminal, in columns. Nothing is printed of an empty text. */
  readonly text: (colors: Colors, width: number) => string;
}

/**
 * Prints the answer of a command. A result goes to standard output, and a failure to standard error, where it is seen though
 * somebody keeps the results in a file. JSON is for programs, which read both from standard output.
 */
export function printAnswer(json: boolean, { value, failed, text }: Answer): void {
  if (json) console.log(printableJson(value, 2));
  else if (failed) write(console.error, text(errorColors(), widthOf(process.stderr)));
  else write(console.log, text(pc, widthOf(process.stdout)));
}

function write(print: (text: string) => void, text: string): void {
  if (text !== "") print(text);
}

/** Returns the width of a terminal, in columns; infinity for a file or a pipe. */
export function widthOf({
  columns = Number.POSITIVE_INFINITY,
}: {
  readonly columns?: number;
}): number {
  return columns;
}

/**
 * Whether a reader finds standard output and standard error in one place: a log that gets both, as `> log 2>&1` makes it,
 * or that of a build server. Those mostly read two pipes, which nobody can tell from two places. Only a file is one for
 * sure, and what is piped elsewhere is in the log still.
 */
export function isOneLog(env: NodeJS.ProcessEnv = process.env): boolean {
  const [out, error] = [fstatSync(process.stdout.fd), fstatSync(process.stderr.fd)];
  if (out.dev === error.dev && out.ino === error.ino) return true;
  return (env.CI ?? "") !== "" && !out.isFile();
}

/** Returns the colours for standard error, which picocolors does not look at. */
export function errorColors(): Colors {
  return pc.createColors(hasColors(process.stderr.isTTY === true, process.env));
}

function hasColors(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  const isSet = (name: string) => (env[name] ?? "") !== "";
  if (isSet("NO_COLOR")) return false;
  return isSet("FORCE_COLOR") || isSet("CI") || (isTerminal && env.TERM !== "dumb");
}

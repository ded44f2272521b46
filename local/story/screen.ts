import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";

/** No line is longer: that is what a terminal of a laptop shows beside an editor. */
export const MAX_COLUMNS = 100;

const BAR = pc.dim("│");

/** Prints the story. Every text is wrapped at words; what programs have printed stands behind a bar. */
export class Screen {
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  chapter(number: number, title: string): void {
    this.#print("");
    this.#print(pc.bold(pc.cyan(`${number}  ${title}`)));
  }

  title(text: string): void {
    this.#print("");
    this.#print(pc.bold(text));
  }

  say(text: string): void {
    for (const line of wrapped(text, MAX_COLUMNS - 3)) this.#print(`   ${line}`);
  }

  /** Shows a file or the output of a program, beneath a command or a name. */
  show(name: string, text: string): void {
    this.#print(`   ${pc.bold(name)}`);
    for (const line of text.trimEnd().split("\n")) {
      for (const part of wrapped(line, MAX_COLUMNS - 5)) this.#print(`   ${BAR} ${part}`.trimEnd());
    }
  }

  /** Prints what came of something: who, and what. */
  tell(who: string, text: string): void {
    const [first = "", ...rest] = wrapped(text, MAX_COLUMNS - 21);
    this.#print(`   ${who.padEnd(18)}${first}`);
    for (const line of rest) this.#print(`${" ".repeat(21)}${line}`);
  }
}

/** Cuts a line at blanks. Colours take no room, and the indent of the line stays. Pure. */
export function wrapped(text: string, columns: number): readonly string[] {
  if (widthOf(text) <= columns) return [text];
  const [indent = ""] = /^\s*/.exec(text) ?? [];
  const lines: string[] = [];
  let line = indent;
  for (const word of text.slice(indent.length).split(" ")) {
    const longer = line === indent ? `${indent}${word}` : `${line} ${word}`;
    if (widthOf(longer) <= columns || line === indent) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = `${indent}${word}`;
  }
  return [...lines, line];
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

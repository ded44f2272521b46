import { createRequire } from "node:module";

/*
 * Packages that read tables of Unicode, which takes longer than all other code of a command. They are loaded by the first
 * text that needs them. The build has `load` followed; see `build/package.ts`.
 */

const load = createRequire(import.meta.url);

/** Returns the number of columns that a terminal shows a text in, whatever its letters. */
export function exactWidth(text: string): number {
  const { default: stringWidth }: typeof import("string-width") = load("string-width");
  return stringWidth(text);
}

/** Breaks a text with colours between words. */
export function brokenLines(text: string, columns: number): readonly string[] {
  const { default: wrapAnsi }: typeof import("wrap-ansi") = load("wrap-ansi");
  return wrapAnsi(text, columns).split("\n");
}

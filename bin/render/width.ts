import { exactWidth } from "./on-demand.ts";

/** Letters of Latin scripts, and the marks that our own lines are drawn with. A terminal shows each in one column. */
const NARROW =
  /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2013\u2014\u2018-\u201d\u2026\u2192\u2500-\u257f\u25b8\u2713\u2717]*$/;

/** Returns the number of columns in which a terminal shows a text. Tables of Unicode are loaded for other letters only. */
export function widthOf(text: string): number {
  return NARROW.test(text) ? text.length : exactWidth(text);
}

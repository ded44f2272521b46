import { unitsAt } from "../../bundle/text-position.ts";

/**
 * The part of a statement's text that begins at an offset and ends with the comma or bracket that closes it,
 * or with the statement: a constraint, a column. Literals and quoted names are stepped over.
 * @param start in UTF-8 bytes, as parse trees count
 */
export function clauseAt(text: string, start: number): string {
  const rest = text.slice(unitsAt(text, "bytes")(start));
  let depth = 0;
  for (const { 0: token, index } of rest.matchAll(/'[^']*'|"[^"]*"|[()[\],]/g)) {
    depth += DEPTHS[token] ?? 0;
    if (depth < 0 || (depth === 0 && token === ",")) return rest.slice(0, index).trim();
  }
  return rest.trim();
}

const DEPTHS: Readonly<Record<string, number>> = { "(": 1, "[": 1, ")": -1, "]": -1 };

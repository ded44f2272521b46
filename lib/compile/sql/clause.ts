import { unitsAt } from "../../bundle/text-position.ts";

/**
 * Returns the text of one clause, such as a constraint or a column. The clause begins at an offset. It ends before the
 * comma or bracket that closes it, or with the statement. Commas and brackets in literals and quoted names do not count.
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

import type { Colors } from "picocolors/types.js";
import { getSegments } from "sql-highlight";

/** Colours SQL for a terminal. The text stays the same. */
export function highlighted(sql: string, colors: Colors): string {
  const painters: Readonly<Record<string, (text: string) => string>> = {
    keyword: colors.cyan,
    function: colors.blue,
    number: colors.magenta,
    string: colors.green,
    comment: colors.dim,
  };
  return getSegments(sql)
    .map(({ name, content }) => byLine(content, painters[name]))
    .join("");
}

/** Colours each line apart, so that a line can be shown for itself. */
function byLine(text: string, paint: (text: string) => string = (same) => same): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : paint(line)))
    .join("\n");
}

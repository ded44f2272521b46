import { printable } from "../text.ts";

/** Markup that is known to be safe, because `html` has made it. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

/** A value within markup: texts are escaped, null is nothing, and a list is its values one after another. */
export type Piece = Html | string | number | null | readonly Piece[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Makes markup of a template. Every text in it is escaped, for the content of an element as for an attribute in quotes, and a
 * character that is not seen or turns the order of others around is shown as its escape.
 */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const markup = parts.map((part, index) => `${part}${markupOf(pieces[index] ?? null)}`);
  return new Html(markup.join(""));
}

function markupOf(piece: Piece): string {
  if (piece === null) return "";
  if (piece instanceof Html) return piece.markup;
  if (typeof piece === "object") return piece.map(markupOf).join("");
  return printable(String(piece)).replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? "");
}

import { counted } from "../../lib/text.ts";
import { widthOf } from "./width.ts";

/** Pads a migration's tag, and the number of its statements, to columns of a list. */
export interface ListColumns {
  readonly tag: (tag: string) => string;
  readonly size: (statements: number) => string;
}

/** Finds the columns of a list of migrations. */
export function columnsFor(
  migrations: readonly { readonly tag: string; readonly statements: number }[],
): ListColumns {
  const width = Math.max(0, ...migrations.map(({ tag }) => widthOf(tag)));
  const sizeOf = (statements: number) => counted(statements, "statement");
  const size = Math.max(0, ...migrations.map(({ statements }) => sizeOf(statements).length));
  return {
    tag: (tag) => `${tag}${" ".repeat(Math.max(width - widthOf(tag), 0))}`,
    size: (statements) => sizeOf(statements).padEnd(size),
  };
}

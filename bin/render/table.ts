import { widthOf } from "./width.ts";

/** A column of a table. One without any text is left out. */
export interface Column {
  readonly title: string;
  /** The width to which it may be cut on a narrow terminal. Default: it is not cut. */
  readonly atLeast?: number;
  /** Its rank among the columns that a narrow terminal does without, the first at 1. Default: it stays. */
  readonly goes?: number;
}

/** A cell: its text, and the colour that it gets behind the measuring. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const GAP = "  ";

/**
 * Renders rows below the titles of their columns, each cell as wide as a terminal shows it. Where a line would be too
 * long, columns are cut, and then left out.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, paintTitle }: { readonly width: number; readonly paintTitle: (text: string) => string },
): readonly string[] {
  const titles = columns.map(({ title }) => ({ text: title, paint: paintTitle }));
  const widths = widthsFor(columns, [titles, ...rows], width);
  return [titles, ...rows].map((cells) => line(cells, widths));
}

/** Returns the width of each column; 0 for one that is left out. */
function widthsFor(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  limit: number,
): readonly number[] {
  const [titles = [], ...body] = rows;
  const wide = titles.map((_, at) => Math.max(...rows.map((row) => cellWidth(row[at]))));
  const used = wide.map((width, at) => (body.some((row) => cellWidth(row[at]) > 0) ? width : 0));
  const going = columns
    .map(({ goes }, at) => ({ goes, at }))
    .filter(({ goes }) => goes !== undefined)
    .toSorted((one, other) => (one.goes ?? 0) - (other.goes ?? 0));
  for (let widths = used; ; ) {
    const cut = cutTo(columns, widths, limit);
    const gone = lengthOf(cut) > limit ? going.shift() : undefined;
    if (gone === undefined) return cut;
    widths = widths.map((width, at) => (at === gone.at ? 0 : width));
  }
}

function cutTo(
  columns: readonly Column[],
  widths: readonly number[],
  limit: number,
): readonly number[] {
  const excess = Math.max(lengthOf(widths) - limit, 0);
  return widths.map((width, at) => {
    const { atLeast = width } = columns[at] ?? {};
    return Math.max(Math.min(width, atLeast), width - excess);
  });
}

function lengthOf(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(shown.length - 1, 0);
}

function cellWidth(cell: Cell | undefined): number {
  return widthOf(cell?.text ?? "");
}

function line(cells: readonly Cell[], widths: readonly number[]): string {
  const shown = cells.flatMap(({ text, paint = (same: string) => same }, at) => {
    const width = widths[at] ?? 0;
    if (width === 0) return [];
    const cut = cutText(text, width);
    return [paint(cut) + " ".repeat(width - widthOf(cut))];
  });
  return shown.join(GAP).trimEnd();
}

/** Returns the text, or its beginning with an ellipsis, in so many columns of a terminal. */
export function cutText(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let cut = "";
  let columns = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    columns += widthOf(segment);
    if (columns > width - 1) break;
    cut += segment;
  }
  return `${cut}…`;
}

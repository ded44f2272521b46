/** Lines around a change that are shown with it. */
const CONTEXT = 2;

interface Line {
  readonly mark: "+" | "-" | " ";
  readonly text: string;
}

/**
 * Compares two texts line by line.
 * @param before the text that is there; null where there is none
 * @returns the lines that differ, marked with `+` or `-`, with some lines around them. Pure.
 */
export function diffLines(before: string | null, after: string): readonly string[] {
  const lines = compare(before === null ? [] : linesOf(before), linesOf(after));
  const changed = lines.flatMap(({ mark }, index) => (mark === " " ? [] : [index]));
  const shown = new Set(
    changed.flatMap((index) =>
      Array.from({ length: 2 * CONTEXT + 1 }, (_, step) => index - CONTEXT + step),
    ),
  );
  return lines.flatMap(({ mark, text }, index) => {
    if (shown.has(index)) return [`${mark} ${text}`];
    return shown.has(index - 1) ? ["  …"] : [];
  });
}

function linesOf(text: string): readonly string[] {
  return text.replace(/\n$/, "").split("\n");
}

/** Walks along the longest common subsequence, as diff does. */
function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  const lengthAt = commonLengths(before, after);
  const lines: Line[] = [];
  let column = 0;
  for (const [row, text] of before.entries()) {
    while (column < after.length && isBetter(lengthAt, row, column, text !== after[column])) {
      lines.push({ mark: "+", text: after[column++] ?? "" });
    }
    const isKept = text === after[column];
    if (isKept) column++;
    lines.push({ mark: isKept ? " " : "-", text });
  }
  return [...lines, ...after.slice(column).map((text) => ({ mark: "+" as const, text }))];
}

/** Whether more is kept by taking the new line first. */
function isBetter(
  lengthAt: (row: number, column: number) => number,
  row: number,
  column: number,
  differs: boolean,
): boolean {
  return differs && lengthAt(row, column + 1) > lengthAt(row + 1, column);
}

/** Counts, for every two ends of the texts, the lines of their longest common subsequence. */
function commonLengths(before: readonly string[], after: readonly string[]) {
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const lengthAt = (row: number, column: number) => lengths[row * width + column] ?? 0;
  for (let cell = before.length * width - 1; cell >= 0; cell--) {
    const [row, column] = [Math.floor(cell / width), cell % width];
    if (column === after.length) continue;
    lengths[cell] =
      before[row] === after[column]
        ? lengthAt(row + 1, column + 1) + 1
        : Math.max(lengthAt(row + 1, column), lengthAt(row, column + 1));
  }
  return lengthAt;
}

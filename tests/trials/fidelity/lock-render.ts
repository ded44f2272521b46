import type { LockResult } from "./lock-trial.ts";

const MAX_DIFFERENCES = 20;

/** One line for a folder, and one for each difference. */
export function renderLocks({ folder, migrations, splits, reason }: LockResult): readonly string[] {
  const sum = (pick: (split: LockResult["splits"][number]) => number) =>
    splits.reduce((total, split) => total + pick(split), 0);
  const [wrong, missing] = [sum((each) => each.wrong.length), sum((each) => each.missing.length)];
  const [statements, asked] = [sum((each) => each.statements), sum((each) => each.asked)];
  const why = reason === null ? [] : [reason];
  if (splits.length === 0) return [`– ${folder.padEnd(24)} ${why.join("")}`];
  const line = [
    `${wrong + missing === 0 ? "✓" : "✗"} ${folder.padEnd(24)}`,
    `${String(migrations).padStart(4)} migrations`,
    `behind ${splits.map(({ before }) => before).join(", ")}:`,
    `${statements} statements (and ${sum((each) => each.alone)} alone)`,
    `${sum((each) => each.relations)} relations locked`,
    `${wrong} wrong, ${missing} missing`,
    `asked behind ${((100 * asked) / Math.max(statements, 1)).toFixed(1)} %`,
    ...why,
  ].join("  ");
  const details = splits.flatMap((split) => [
    ...split.wrong.map((each) => `    behind ${split.before}, wrong:   ${each}`),
    ...split.missing.map((each) => `    behind ${split.before}, missing: ${each}`),
  ]);
  const more = details.length - MAX_DIFFERENCES;
  return [
    line,
    ...details.slice(0, MAX_DIFFERENCES),
    ...(more > 0 ? [`    and ${more} more`] : []),
  ];
}

import { counted } from "../../lib/text.ts";

const UNITS: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
];

/** Says a length of time, in ms, in its two largest units. */
export function ago(ms: number): string {
  const index = UNITS.findIndex(([unit]) => ms >= unit);
  if (index < 0) return counted(Math.floor(ms / 1_000), "second");
  let left = ms;
  const parts = UNITS.slice(index, index + 2).flatMap(([unit, name]) => {
    const count = Math.floor(left / unit);
    left -= count * unit;
    return count === 0 ? [] : [counted(count, name)];
  });
  return parts.join(" and ");
}

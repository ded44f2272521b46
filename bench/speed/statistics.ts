/** Returns the median of numbers; of an even count, the mean of the middle two. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Renders a time for a person. @param ms milliseconds; null where it was not measured */
export function readable(ms: number | null): string {
  if (ms === null) return "-";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** Renders one number over another, as `1.23 ×`. */
export function ratio(one: number, other: number): string {
  const value = one / other;
  return Number.isFinite(value) ? `${value.toFixed(value < 0.1 ? 3 : 2)} ×` : "-";
}

/** 200 ms doubling up to 5 s, of which a random half is taken off so that many callers spread out. */
export function backoffMs(attempt: number): number {
  const full = Math.min(100 * 2 ** attempt, 5_000);
  return full / 2 + Math.random() * (full / 2);
}

import { describe, expect, test } from "vitest";
import { backoffMs } from "../../lib/wait.ts";

describe("backoffMs", () => {
  test.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [6, 5_000],
    [60, 5_000],
  ])("of attempt %i is a random one of the upper half of %i ms", (attempt, fullMs) => {
    const pauses = Array.from({ length: 200 }, () => backoffMs(attempt));

    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(fullMs / 2);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(fullMs);
    expect(new Set(pauses).size).toBeGreaterThan(100);
  });
});

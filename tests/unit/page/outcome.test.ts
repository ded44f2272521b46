import { expect, test } from "vitest";
import { duration } from "../../../lib/page/outcome.ts";

test.each([
  [340, "340 ms"],
  [1_234, "1.23 s"],
  [12_340, "12.3 s"],
  [60_000, "1 min 0 s"],
  [119_700, "2 min 0 s"],
  [200_000, "3 min 20 s"],
])("%d ms are %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

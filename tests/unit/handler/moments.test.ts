import fc from "fast-check";
import { expect, test } from "vitest";
import { momentsOf } from "../../../lib/handler/moments.ts";

test("a call of many minutes keeps 10 s back for cancelling, 7 for dropping, 5 for the report, half a second for the answer", () => {
  expect(momentsOf(1_000_000, 900_000)).toEqual({
    deadline: 1_890_000,
    dropBy: 1_893_000,
    reportBy: 1_895_000,
    answerBy: 1_899_500,
  });
});

test("the moments of a call keep their order and some distance, however short it is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 900_000 }), (remainingMs) => {
      const { deadline, dropBy, reportBy, answerBy } = momentsOf(0, remainingMs);
      const gaps = [deadline, dropBy - deadline, reportBy - dropBy, answerBy - reportBy];
      const least = Math.min(500, remainingMs / 20);
      for (const gap of [...gaps, remainingMs - answerBy])
        expect(gap).toBeGreaterThanOrEqual(least);
    }),
  );
});

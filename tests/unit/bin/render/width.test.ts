import fc from "fast-check";
import stringWidth from "string-width";
import { expect, test } from "vitest";
import { widthOf } from "../../../../bin/render/width.ts";

const BELOW_CJK = Array.from({ length: 0x2800 }, (_, code) => String.fromCharCode(code));

test("every letter has the width that string-width gives it", () => {
  expect(BELOW_CJK.map(widthOf)).toEqual(BELOW_CJK.map((each) => stringWidth(each)));
});

test("so has every text of them, wider letters and emoji", () => {
  const letters = fc.constantFrom(
    ...BELOW_CJK,
    "漢",
    "😀",
    "👩‍👩‍👧",
    "\u{1f1e9}\u{1f1ea}",
    "1\u20e3",
    "e\u0301",
  );
  const texts = fc.array(letters, { maxLength: 8 }).map((each) => each.join(""));

  fc.assert(
    fc.property(texts, (text) => {
      expect(widthOf(text)).toBe(stringWidth(text));
    }),
  );
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { excerpt, positionAt, unitsAt } from "../../../lib/bundle/text-position.ts";
import { anyCharacter } from "../../setup/fuzz/characters.ts";
import { tries } from "../../setup/tries.ts";

const TEXT = "select 1;\r\n\tselect 'ü€𝄞';\n";

describe("positionAt", () => {
  test("counts lines and columns from 1, and ends a line at its line feed", () => {
    const offsets = [0, 9, 10, 11, 12, TEXT.length];

    expect(offsets.map((offset) => positionAt(TEXT, offset))).toEqual([
      { line: 1, column: 1 },
      { line: 1, column: 10 },
      { line: 1, column: 11 },
      { line: 2, column: 1 },
      { line: 2, column: 2 },
      { line: 3, column: 1 },
    ]);
  });

  test("goes on from a place in the middle of a file as from its top", () => {
    const cut = fc.array(fc.constantFrom("a", "\n", "\r\n", "𝄞")).map((parts) => parts.join(""));

    fc.assert(
      fc.property(cut, cut, (before, behind) => {
        const begin = positionAt(before + behind, before.length);

        expect(positionAt(behind, behind.length, begin)).toEqual(
          positionAt(before + behind, before.length + behind.length),
        );
      }),
    );
  });
});

describe("unitsAt", () => {
  test("converts rising offsets as an encoder would, lone surrogates included", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        const byBytes = unitsAt(text, "bytes");
        const byPoints = unitsAt(text, "codePoints");
        let units = 0;
        let bytes = 0;
        for (const [points, character] of [...text].entries()) {
          expect([byBytes(bytes), byPoints(points)]).toEqual([units, units]);
          units += character.length;
          bytes += Buffer.byteLength(character);
        }
        expect([byBytes(bytes), byPoints(text.length + 1)]).toEqual([units, units]);
      }),
      { numRuns: tries(50, 300) },
    );
  });
});

describe("excerpt", () => {
  test("draws one caret below a place, and keeps tabs", () => {
    expect(excerpt(TEXT, { line: 2, column: 9 })).toEqual({
      shown: "\tselect 'ü€𝄞';",
      indent: "\t       ",
      carets: "^",
    });
    expect(excerpt(TEXT, { line: 1, column: 1 }).shown).toBe("select 1;");
    expect(excerpt(TEXT, { line: 9, column: 1 })).toEqual({ shown: "", indent: "", carets: "^" });
  });

  test("shortens a long line around the place, and draws carets as far as it shows", () => {
    const line = `${"a".repeat(100)}${"b".repeat(100)}`;
    const place = { line: 1, column: 101 };

    const cut = excerpt(line, place, { before: 3, behind: 5, end: { line: 2, column: 1 } });

    expect(cut).toEqual({ shown: "…aabbbb…", indent: "   ", carets: "^^^^^" });
    expect(excerpt(line, place, { end: { line: 1, column: 104 } }).carets).toBe("^^^");
    expect(excerpt(line, place).shown).toBe(`…${"a".repeat(59)}${"b".repeat(59)}…`);
  });

  test.for([
    [1, `${"x".repeat(119)}…`],
    [130, `…${"x".repeat(119)}`],
  ] as const)("gives the room that one side leaves to the other: column %i", ([column, shown]) => {
    const cut = excerpt("x".repeat(130), { line: 1, column });

    expect(cut.shown).toBe(shown);
  });

  test("leaves a line of a moderate length whole, wherever its place is", () => {
    const line =
      "CREATE UNIQUE INDEX CONCURRENTLY organisations_name_unique ON organisations (lower(name)) WHERE active;";

    const shown = [1, 33, line.length].map((column) => excerpt(line, { line: 1, column }).shown);

    expect(new Set(shown)).toEqual(new Set([line]));
  });

  test("cuts no character in two", () => {
    for (let column = 1; column < 400; column += 2) {
      expect(excerpt("𝄞".repeat(200), { line: 1, column }).shown).toMatch(/^…?𝄞+…?$/u);
    }
  });
});

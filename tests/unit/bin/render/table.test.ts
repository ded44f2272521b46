import { describe, expect, test } from "vitest";
import { cutText, renderTable } from "../../../../bin/render/table.ts";

const COLUMNS = [{ title: "name", atLeast: 4 }, { title: "date", goes: 1 }, { title: "state" }];

function render(width: number, ...rows: readonly (readonly string[])[]): readonly string[] {
  const cells = rows.map((row) => row.map((text) => ({ text })));
  return renderTable(COLUMNS, cells, { width, paintTitle: (text) => text });
}

describe("renderTable", () => {
  test("pads by what a terminal shows: wide characters, marks on letters, emoji of several parts", () => {
    expect(
      render(
        80,
        ["移行", "1", "a"],
        ["e\u0301", "2", "b"],
        ["👩‍👩‍👧", "3", "c"],
        ["abcde", "4", "d"],
      ),
    ).toEqual([
      "name   date  state",
      "移行   1     a",
      "e\u0301      2     b",
      "👩‍👩‍👧     3     c",
      "abcde  4     d",
    ]);
  });

  test("pads behind the colour", () => {
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
    const [, line] = renderTable(
      COLUMNS,
      [[{ text: "a", paint: red }, { text: "b" }, { text: "c" }]],
      {
        width: 80,
        paintTitle: (text) => text,
      },
    );

    expect(line).toBe("\u001b[31ma\u001b[39m     b     c");
  });

  test("leaves out a column without any text", () => {
    expect(render(80, ["a", "", "x"], ["b", "", "y"])[0]).toBe("name  state");
  });

  test.each([
    [21, "abcdefgh  2026  done"],
    [20, "abcdef…  2026  done"],
    [17, "abc…  2026  done"],
    [16, "abcdefgh  done"],
    [3, "abc…  done"],
  ])("fits %i columns: cuts first, and then leaves out", (width, line) => {
    expect(render(width, ["abcdefgh", "2026", "done"])[1]).toBe(line);
  });
});

test.each([
  ["abc", 3, "abc"],
  ["abcd", 3, "ab…"],
  ["移行する", 4, "移…"],
  ["a👩‍👩‍👧b", 3, "a…"],
])("cutText cuts %j to %i columns, between characters", (text, width, cut) => {
  expect(cutText(text, width)).toBe(cut);
});

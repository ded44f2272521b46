import { describe, expect, test } from "vitest";
import { diffLines } from "../../../../bin/init/diff.ts";

describe("a diff", () => {
  test.each<[string, string | null, string, readonly string[]]>([
    ["of a new file has all of it", null, "a\n\nb\n", ["+ a", "+ ", "+ b"]],
    ["of a file without a line", "", "a\n", ["- ", "+ a"]],
    ["of the same has nothing", "a\nb\n", "a\nb\n", []],
    ["does not see the last line break", "a\nb", "a\nb\n", []],
    ["has a line that goes, and its place", "a\nb\nc\n", "a\nc\n", ["  a", "- b", "  c"]],
    ["has lines that come behind", "a\n", "a\nb\nc\n", ["  a", "+ b", "+ c"]],
    ["has lines that come before", "b\n", "a\nb\n", ["+ a", "  b"]],
    ["keeps what can be kept", "x\na\nb\n", "a\nb\nx\n", ["- x", "  a", "  b", "+ x"]],
    ["has all of another file", "a\nb\n", "c\n", ["- a", "- b", "+ c"]],
    [
      "folds what stays",
      "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
      "0\n2\n3\n4\n5\n6\n7\n8\n10\n",
      ["- 1", "+ 0", "  2", "  3", "  …", "  7", "  8", "- 9", "+ 10"],
    ],
  ])("%s", (_, before, after, lines) => {
    expect(diffLines(before, after)).toEqual(lines);
  });
});

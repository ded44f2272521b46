import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { contentHash } from "../../../lib/bundle/hash.ts";
import { positionAt, unitsAt } from "../../../lib/bundle/text-position.ts";
import { writeAsset } from "../../../lib/compile/asset.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { placeIn } from "../../../lib/compile/sql/clause.ts";
import { writeJournaledFolder } from "../../setup/folders.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "long-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

async function compiled(sql: string): Promise<Bundle> {
  writeJournaledFolder(folder, [{ tag: "0000_long", when: 1_700_000_000_000, sql }]);
  return await compileBundle(folder);
}

const MANY = 10_000;
const repeat = (line: (index: number) => string, between = "\n") =>
  Array.from({ length: MANY }, (_, index) => line(index)).join(between);

// Each takes seconds, or minutes where the time grows with the square of the length.
test.each<readonly [string, string, number, number]>([
  [
    "values of an enum, each of them used",
    repeat((n) => `alter type e add value 'v${n}'; select 'v${n}'::e;`),
    2 * MANY,
    MANY,
  ],
  [
    "values of an enum that none of as many statements uses",
    `${repeat((n) => `alter type e add value 'v${n}';`)}${repeat((n) => `select 'x${n}';`)}`,
    2 * MANY,
    0,
  ],
  [
    "types with a value each",
    repeat((n) => `create type t${n} as enum (); alter type t${n} add value 'a';`),
    2 * MANY,
    0,
  ],
  [
    "constraints in one statement",
    `alter table t\n${repeat((n) => `add constraint c${n} check (a > ${n})`, ",\n")};`,
    1,
    MANY,
  ],
  [
    "columns of another type in one statement",
    `alter table t\n${repeat((n) => `alter column c${n} type bigint`, ",\n")};`,
    1,
    MANY,
  ],
])("ten thousand %s are compiled in linear time", async (_name, sql, statements, found) => {
  const { migrations, warnings } = await compiled(sql);

  const [{ statements: cut, findings } = { statements: [], findings: [] }] = migrations;
  expect([cut.length, findings.length, warnings]).toEqual([statements, found, []]);
  const last = found === 0 ? null : findings.at(-1)?.line;
  expect([null, MANY, MANY + 1]).toContain(last);
});

test("the place of a byte in a long text is that of a count from its head", () => {
  const text = `${"é".repeat(4_095)}😀\n${"a😀\n".repeat(5_000)}`;

  for (let bytes = 0; bytes <= Buffer.byteLength(text); bytes += 97) {
    const units = unitsAt(text, "bytes")(bytes);
    expect(placeIn(text, bytes)).toEqual({ ...positionAt(text, units), units });
  }
});

test.each([
  ["one file", [250], "0000_0 (250.0 MB)"],
  ["several, the largest first", [10, 130, 120], "0001_1 (130.0 MB), 0002_2 (120.0 MB), 0000_0"],
  ["one that its JSON makes too long", [125], "0000_0 (125.0 MB)"],
])(
  "an asset of more than Lambda takes is refused, and not written: %s",
  async (_name, sizes, of) => {
    const handler = mkdtempSync(join(folder, "handler-"));
    writeFileSync(join(handler, "index.mjs"), "");
    const bundle = await compiled("select 1;");
    // A line break has two characters in JSON.
    const migrations = bundle.migrations.flatMap((migration) =>
      sizes.map((size, index) => ({
        ...migration,
        tag: `000${index}_${index}`,
        sql: "\n".repeat(size * 1024 ** 2),
      })),
    );
    const out = join(handler, "out");

    await expect(writeAsset({ ...bundle, migrations }, out, handler)).rejects.toMatchObject({
      code: "BUNDLE_TOO_LARGE",
      message: expect.stringContaining(`The largest are ${of}`),
    });
    expect(existsSync(out)).toBe(false);
  },
);

// PostgreSQL's parser alone takes minutes to find out that its memory does not hold it.
test("a statement beyond the parser's memory is named at once, with the way out", async () => {
  const sql = `select 1;\ninsert into t values ('${"x".repeat(151_000_000)}');\n`;

  await expect(compiled(sql)).rejects.toMatchObject({
    code: "SQL_INVALID",
    message: expect.stringMatching(
      /0000_long\.sql:2:1: this statement is longer .* let it through as it is: "-- neon-migrate: unparsed"/,
    ),
    facts: { migration: "0000_long", statement: { index: 2 } },
  });
});

test("the hash over a bundle needs no text that is as long as all its migrations", () => {
  const sql = "x".repeat(300 * 1024 ** 2);
  const migrations = ["a", "b"].map((tag) => ({ tag, hash: tag, sql }));

  expect(contentHash(migrations)).toMatch(/^[0-9a-f]{64}$/);
  expect(contentHash(migrations)).not.toBe(contentHash(migrations.slice(1)));
  expect(contentHash(migrations)).not.toBe(contentHash([...migrations].reverse()));
  expect(contentHash([{ ...migrations[0], hash: "b" }])).not.toBe(
    contentHash([{ ...migrations[0] }]),
  );
});

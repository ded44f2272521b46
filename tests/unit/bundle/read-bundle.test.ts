import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { readBundle } from "../../../lib/bundle/read-bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { MigratorError } from "../../../lib/errors.ts";

const HASH_DIFFERS = "the text of 0000_init does not match its hash";
const OUTSIDE = "a statement of 0000_init lies outside its file";

const TOUCHES = "a statement of 0000_init touches what this migrator does not know";
const NEW_VALUES = "a statement of 0000_init uses enum values that this migrator does not know";
const DIRECTIVE = "a directive of 0000_init is not known to this migrator";

let bundle: Bundle;

beforeAll(async () => {
  bundle = await compileBundle("tests/fixtures/folders/good");
});

/** The bundle as JSON, with one value replaced; `undefined` removes it. */
function damaged(path: readonly string[], value: unknown, of: Bundle = bundle): unknown {
  const copy: unknown = JSON.parse(JSON.stringify(of));
  let holder: unknown = copy;
  for (const key of path.slice(0, -1)) {
    if (typeof holder !== "object" || holder === null) throw new Error(`No ${path.join(".")}`);
    holder = Reflect.get(holder, key);
  }
  if (typeof holder !== "object" || holder === null) throw new Error(`No ${path.join(".")}`);
  Reflect.set(holder, path.at(-1) ?? "", value);
  return JSON.parse(JSON.stringify(copy));
}

function refusalOf(value: unknown): string {
  try {
    readBundle(value);
  } catch (error) {
    if (error instanceof MigratorError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error("The bundle was not refused");
}

function refused(reason: string): string {
  return `BUNDLE_INVALID The bundle cannot be used: ${reason}. Compile it again with "neon-migrate bundle".`;
}

describe("readBundle", () => {
  test.each([
    "tests/fixtures/folders/good",
    "tests/fixtures/folders/good-crlf",
    "tests/fixtures/folders/empty-journal",
    "tests/fixtures/folders/journal-order",
    "tests/fixtures/folders/directives",
    "tests/fixtures/fidelity/enums",
    "drizzle",
  ])("gives back the bundle of %s that went through JSON", async (folder) => {
    const compiled = await compileBundle(folder);

    const read = readBundle(JSON.parse(JSON.stringify(compiled)));

    expect(read).toEqual(compiled);
  });

  test("reads a bundle of an earlier version, whose statements said why they stand alone", () => {
    const { contentHash: _absent, ...older } = bundle;
    const earlier = damaged(["migrations", "0", "statements", "0", "why"], "vacuum", older);

    expect(readBundle(earlier)).toEqual(older);
  });

  test.each([
    ["a statement was taken out", (all: readonly unknown[]) => all.slice(1)],
    ["the last statement was taken out", (all: readonly unknown[]) => all.slice(0, -1)],
    ["all statements were taken out", () => []],
    ["a field was added", (all: readonly object[]) => all.map((each) => ({ ...each, why: "" }))],
    [
      "a mode was changed",
      (all: readonly object[]) => all.map((each) => ({ ...each, mode: "alone" })),
    ],
    [
      "an effect was changed",
      (all: readonly object[]) => all.map((each) => ({ ...each, effect: { kind: "repeatable" } })),
    ],
    [
      "a directive was added",
      (all: readonly object[]) =>
        all.map((each) => ({ ...each, directives: { lockTimeoutMs: 1 } })),
    ],
  ])("refuses a bundle in which %s", (_what, edit) => {
    const edited = damaged(
      ["migrations", "0", "statements"],
      edit(bundle.migrations[0]?.statements ?? []),
    );

    expect(refusalOf(edited)).toBe(refused("it was edited after it was compiled"));
  });

  test.each([
    ["null", null],
    ["a list", []],
    ["a string", "bundle"],
    ["a number", 1],
    ["nothing", undefined],
  ])("refuses %s", (_name, value) => {
    const refusal = refusalOf(value);

    expect(refusal).toBe(refused("it is not a JSON object"));
  });

  test.each([
    [["bundleVersion"], 3, "its bundleVersion is 3, and this migrator reads 1"],
    [["bundleVersion"], "1", 'its bundleVersion is "1", and this migrator reads 1'],
    [["layout"], "2.0", 'its layout is "2.0"'],
    [["migrations"], {}, "it has no list of migrations"],
    [["migrations", "0"], null, "migration 1 is not an object"],
    [["migrations", "1", "tag"], "", "migration 2 has no tag"],
    [["migrations", "1", "when"], "1", "0001_touch has no time"],
    [["migrations", "1", "when"], 1.5, "0001_touch has no time"],
    [["migrations", "1", "sql"], null, "0001_touch has no SQL text"],
    [["migrations", "0", "sql"], "drop table users", HASH_DIFFERS],
    [["migrations", "0", "hash"], "0".repeat(64), HASH_DIFFERS],
    [["migrations", "0", "statements"], 3, "0000_init has no list of statements"],
    [["migrations", "0", "directives"], { noTransaction: false }, DIRECTIVE],
    [["migrations", "0", "directives"], { toString: 1 }, DIRECTIVE],
    [["migrations", "0", "statements", "0", "directives"], [], DIRECTIVE],
    [["migrations", "0", "statements", "0", "directives"], { lockTimeoutMs: 0 }, DIRECTIVE],
    [["migrations", "0", "statements", "0", "directives"], { allow: ["none"] }, DIRECTIVE],
    [["migrations", "0", "sameAs"], ["abc"], "an earlier version of 0000_init has no hash"],
    [
      ["migrations", "0", "lineEndsMatter"],
      0,
      "its word on the line ends of 0000_init is not known",
    ],
    [
      ["migrations", "0", "statements", "0", "digest"],
      "ABC",
      "a statement of 0000_init has no digest",
    ],
    [["migrations", "0", "statements", "0", "touches"], {}, TOUCHES],
    [["migrations", "0", "statements", "0", "touches", "0"], { kind: "table", name: "t" }, TOUCHES],
    [["migrations", "0", "statements", "0", "touches", "0", "lock"], "SHARED", TOUCHES],
    [["migrations", "0", "statements", "0"], 3, "a statement of 0000_init is not an object"],
    [["migrations", "0", "statements", "0", "newValues"], {}, NEW_VALUES],
    [
      ["migrations", "0", "statements", "0", "newValues"],
      [{ added: { tag: "t", index: 0 } }],
      NEW_VALUES,
    ],
    [["migrations", "0", "statements", "0", "end"], 9_999, OUTSIDE],
    [["migrations", "0", "statements", "0", "end"], 0, OUTSIDE],
    [["migrations", "0", "statements", "0", "start"], -1, OUTSIDE],
    [["migrations", "0", "statements", "0", "start"], 0.5, OUTSIDE],
    [["migrations", "0", "statements", "0", "line"], "1", OUTSIDE],
    [["migrations", "0", "statements", "0", "kind"], 3, OUTSIDE],
    [["hash"], "0".repeat(64), "its hash does not match its migrations"],
    [
      ["migrations", "0", "statements", "0", "mode"],
      {},
      "a statement of 0000_init has the mode an object",
    ],
    [
      ["migrations", "0", "statements", "0", "effect"],
      { kind: { toString: 1, valueOf: 1 } },
      "a statement of 0000_init has an effect that this migrator does not know",
    ],
    [["migrations", "0", "findings"], undefined, "the findings of 0000_init cannot be read"],
    [["migrations", "0", "findings"], [null], "the findings of 0000_init cannot be read"],
    [["migrations", "0", "findings", "0", "rule"], "x", "the findings of 0000_init cannot be read"],
    [
      ["migrations", "0", "findings", "0", "asks"],
      { kind: "__proto__" },
      "the findings of 0000_init cannot be read",
    ],
    [["migrations", "0", "when"], 1, "its hash does not match its migrations"],
    [["migrations", "0", "tag"], "renamed", "its hash does not match its migrations"],
  ])("refuses a bundle whose %j is %j", (path, value, reason) => {
    const refusal = refusalOf(damaged(path, value));

    expect(refusal).toBe(refused(reason));
  });

  test("refuses a version that is too deep to be written", () => {
    const deep: unknown = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);

    const refusal = refusalOf({ bundleVersion: deep });

    expect(refusal).toBe(refused("its bundleVersion is a list, and this migrator reads 1"));
  });

  test("refuses a migration that is there twice, and statements that are", () => {
    const { migrations } = bundle;
    const [first] = migrations;
    const twice = [...migrations, ...migrations];
    const statements = first?.statements.flatMap((each) => [each, each]);
    const doubled = [{ ...first, statements }, ...migrations.slice(1)];

    const refusals = [
      refusalOf({ ...bundle, migrations: twice, hash: bundleHash(twice) }),
      refusalOf({ ...bundle, migrations: doubled }),
    ];

    expect(refusals).toEqual([
      refused("it holds a migration twice"),
      refused("the statements of 0000_init are not in the order of its file"),
    ]);
  });
});

describe("bundleHash", () => {
  const entry = fc.record({ tag: fc.string(), when: fc.integer(), hash: fc.string() });

  test("differs when any tag, time, hash or the order differs, and only then", () => {
    fc.assert(
      fc.property(fc.array(entry), fc.array(entry), (one, other) => {
        const equal = JSON.stringify(one) === JSON.stringify(other);

        expect(bundleHash(one) === bundleHash(other)).toBe(equal);
        expect(bundleHash(structuredClone(one))).toBe(bundleHash(one));
      }),
    );
  });

  test("changes when two migrations change places", () => {
    const [first, second] = bundle.migrations;
    if (first === undefined || second === undefined) throw new Error("The fixture has two");

    expect(bundleHash([second, first])).not.toBe(bundleHash([first, second]));
  });
});

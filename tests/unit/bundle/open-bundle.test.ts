import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { openBundle, sizeOfBundle } from "../../../lib/bundle/open-bundle.ts";
import { overviewOf } from "../../../lib/bundle/overview.ts";
import { readBundle } from "../../../lib/bundle/read-bundle.ts";
import { bundleFiles, writeBundle } from "../../../lib/compile/asset-bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { outcomeOf } from "../../setup/fuzz/outcome.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { tries } from "../../setup/tries.ts";

const FOLDERS = ["good", "journal-order", "directives", "empty-journal", "orphan-file"];
const FILES = ["bundle.json", "migrations.jsonl"] as const;

const first = makeMigration("0000_first", 1_000, "create table notes (id int)", "select 1");
const second = makeMigration("0001_second", 2_000, "insert into notes values (1)");
/** Of the length of `second`. */
const other = makeMigration("0001_second", 2_000, "insert into notes values (2)");
const bundle = makeBundle(first, second);

let scratch: string;
let folder: string;
let path: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "open-bundle-"));
});

afterAll(() => rmSync(scratch, { recursive: true }));

beforeEach(async () => {
  folder = await written(bundle);
  path = join(folder, "bundle.json");
});

let folders = 0;

async function written(each: Bundle): Promise<string> {
  folders += 1;
  const made = join(scratch, String(folders));
  mkdirSync(made);
  await writeBundle(bundleFiles(each), made);
  return made;
}

/** Reads all that a run could read. */
function readAll(): Bundle {
  const { overview: _, ...opened } = openBundle(path);
  return JSON.parse(JSON.stringify(opened));
}

const refusal = () => outcomeOf(readAll).error?.code ?? null;

function edit(name: (typeof FILES)[number], change: (text: string) => string): void {
  const file = join(folder, name);
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

describe("a bundle in two files", () => {
  test.each(FOLDERS)("is what was compiled: %s", async (name) => {
    const compiled = await compileBundle(`tests/fixtures/folders/${name}`);
    path = join(await written(compiled), "bundle.json");

    expect(readAll()).toEqual(compiled);
    expect(openBundle(path).overview).toEqual(overviewOf(compiled));
    expect(readBundle(readAll())).toEqual(compiled);
  });

  test("is found by a URL, too, and its size is that of both files", () => {
    const url = pathToFileURL(path);
    const bytes = FILES.reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0);

    expect(openBundle(url).migrations.map(({ tag }) => tag)).toEqual(["0000_first", "0001_second"]);
    expect(sizeOfBundle(url)).toBe(bytes);
    expect(sizeOfBundle(join(scratch, "nowhere", "bundle.json"))).toBe(0);
  });

  test("counts the statements of a migration without reading it", () => {
    edit("migrations.jsonl", (text) => text.replace("create table notes", "create table NOTES"));
    const [opened] = openBundle(path).migrations;

    expect(opened?.statementCount).toBe(2);
    expect(() => opened?.statements).toThrow(/migrations\.jsonl is damaged/);
  });

  test("whose migrations nobody asks for is not read", () => {
    edit("migrations.jsonl", (text) => "x".repeat(text.length));
    const opened = openBundle(path);

    expect(opened.overview?.latest).toBe("0001_second");
    expect(() => opened.migrations).toThrow(
      expect.objectContaining({
        code: "BUNDLE_INVALID",
        message:
          'The bundle cannot be used: migrations.jsonl is damaged, or is not of the same build as bundle.json. Compile it again with "neon-migrate bundle".',
      }),
    );
  });

  test("in one file, as an earlier version wrote it, is read whole", () => {
    writeFileSync(path, JSON.stringify(bundle));
    rmSync(join(folder, "migrations.jsonl"));

    expect(openBundle(path)).toEqual(bundle);
  });

  test("is no whole bundle", () => {
    expect(() => readBundle(JSON.parse(readFileSync(path, "utf8")))).toThrow(
      /first of the two files .* openBundle\("bundle\.json"\)/,
    );
  });
});

describe("a damaged bundle is refused", () => {
  test("whatever byte of it is another one", () => {
    const whole = FILES.map((name) => readFileSync(join(folder, name)));
    const sound = readAll();
    const bytes = fc.record({
      file: fc.constantFrom(0, 1),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      by: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(bytes, ({ file, at, by }) => {
        const name = FILES[file] ?? "bundle.json";
        const content = Buffer.from(whole[file] ?? []);
        const place = Math.floor(at * content.length);
        content.writeUInt8((content.readUInt8(place) + by) % 256, place);
        writeFileSync(join(folder, name), content);

        const { value, error } = outcomeOf(readAll);

        writeFileSync(join(folder, name), whole[file] ?? "");
        // A blank in the place of a line's end changes nothing.
        expect(error?.code ?? value).toEqual(error === null ? sound : "BUNDLE_INVALID");
        if (error === null) expect(whole[file]?.at(place)).toBe("\n".charCodeAt(0));
      }),
      { numRuns: tries(300, 3_000) },
    );
  });

  test.each<[string, () => void]>([
    ["the end of the migrations is gone", () => truncateSync(join(folder, FILES[1]), 900)],
    ["the migrations are empty", () => truncateSync(join(folder, FILES[1]), 0)],
    ["something stands behind them", () => appendFileSync(join(folder, FILES[1]), "\n")],
    ["the end of the head is gone", () => truncateSync(path, 300)],
    ["the head is empty", () => truncateSync(path, 0)],
    ["the head has another field", () => edit(FILES[0], (text) => text.replace("{", '{"a":1,'))],
    ["the head has another layout", () => edit(FILES[0], (text) => text.replace("0.x", "1.0"))],
    [
      "the head has no digest",
      () => edit(FILES[0], (text) => text.replace(/,"digest":"\w+"}\s/, "}")),
    ],
    ["the head is of a later version", () => edit(FILES[0], (text) => text.replace(":2,", ":3,"))],
    [
      "two migrations have changed places",
      () =>
        edit(FILES[1], (text) => {
          const [index, one, two] = text.split("\n");
          return [index, two, one, ""].join("\n");
        }),
    ],
    [
      "a statement was taken out",
      () => edit(FILES[1], (text) => text.replace(/,\{"start"[^}]+\}\]/, "]")),
    ],
  ])("%s", (_name, damage) => {
    damage();

    expect(refusal()).toBe("BUNDLE_INVALID");
  });

  test.each(FILES)("one without %s", (name) => {
    rmSync(join(folder, name));

    expect(() => openBundle(path)).toThrow(
      expect.objectContaining({
        code: "BUNDLE_MISSING",
        message: `There is no ${name} beside the handler. Make the asset with "neon-migrate bundle", and deploy all of its files.`,
      }),
    );
  });

  test.each(FILES)("one with the %s of another build, of the same length", async (name) => {
    const another = await written(makeBundle(first, other));
    writeFileSync(join(folder, name), readFileSync(join(another, name)));

    expect(outcomeOf(() => openBundle(path).overview).error).toBeNull();
    expect(outcomeOf(() => openBundle(path).migrations).error?.code).toBe("BUNDLE_INVALID");
  });

  test("one with a migration of another build, of the same length", async () => {
    const another = readFileSync(join(await written(makeBundle(first, other)), FILES[1]), "utf8");
    edit(FILES[1], (text) => {
      const [index, one] = text.split("\n");
      return [index, one, another.split("\n")[2], ""].join("\n");
    });

    const [sound, swapped] = openBundle(path).migrations;

    expect(sound?.sql).toBe(first.sql);
    expect(() => swapped?.sql).toThrow(/is damaged, or is not of the same build/);
  });
});

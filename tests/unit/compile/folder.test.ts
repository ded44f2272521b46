import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readFolder } from "../../../lib/compile/folder.ts";
import { parseJournal } from "../../../lib/compile/journal.ts";
import { MigratorError } from "../../../lib/errors.ts";

const FOLDERS = "tests/fixtures/folders";

const USERS =
  'CREATE TABLE "users" (\n\t"id" serial PRIMARY KEY NOT NULL,\n\t"name" text NOT NULL\n);\n';

/** Code, sentence and migration of the refusal. */
async function refusalOf(folder: string): Promise<readonly (string | undefined)[]> {
  const thrown: unknown = await readFolder(folder).catch((error: unknown) => error);
  if (!(thrown instanceof MigratorError)) throw new Error(`${folder} was not refused`);
  return [thrown.code, thrown.message, thrown.facts.migration];
}

describe("readFolder", () => {
  test("reads the files in the journal's order and leaves their text alone", async () => {
    const folder = `${FOLDERS}/orphan-file`;

    const { files } = await readFolder(folder);

    const hash = createHash("sha256").update(USERS).digest("hex");
    const path = `${folder}/0000_init.sql`;
    expect(files).toEqual([{ tag: "0000_init", when: 1_700_000_000_000, path, sql: USERS, hash }]);
  });

  test("accepts an old journal of dialect pg whose entries share a time", async () => {
    const folder = await readFolder(`${FOLDERS}/good-old-journal`);

    expect([folder.files.map(({ tag, when }) => [tag, when]), folder.warnings]).toEqual([
      [
        ["0000_init", 1_700_000_000_000],
        ["0001_same_time", 1_700_000_000_000],
        ["0003_custom", 1_700_000_000_005],
      ],
      [
        {
          code: "JOURNAL_ORDER",
          message: `${FOLDERS}/good-old-journal/meta/_journal.json lists 0001_same_time behind 0000_init, with the same date (1700000000000). Drizzle's own migrator skips it on a database that has 0000_init; raise its "when" if it was never applied anywhere.`,
          settledBy: ["0001_same_time"],
        },
      ],
    ]);
  });

  test("reads the layout of drizzle-kit 1.0, with the times in its folders' names", async () => {
    const { layout, files, warnings } = await readFolder(`${FOLDERS}/named-folders`);

    expect([layout, files.map(({ tag, when }) => [tag, when]), warnings]).toEqual([
      "1.0",
      [["20260101120000_init", Date.UTC(2026, 0, 1, 12)]],
      [],
    ]);
  });

  test("accepts a journal without entries", async () => {
    const folder = await readFolder(`${FOLDERS}/empty-journal`);

    expect(folder).toEqual({ layout: "0.x", files: [], warnings: [] });
  });

  test("warns about an SQL file that the journal does not list, and about no other file", async () => {
    const { warnings } = await readFolder(`${FOLDERS}/orphan-file`);

    expect(warnings).toEqual([
      {
        code: "ORPHAN_FILE",
        message: `${FOLDERS}/orphan-file/0001_forgotten.sql is not one of the migrations and is never applied. Remove it, or create it with "drizzle-kit generate --custom".`,
      },
    ]);
  });

  test("warns about an entry that is dated before one that precedes it", async () => {
    const { files, warnings } = await readFolder(`${FOLDERS}/journal-order`);

    expect([files.map(({ tag }) => tag), warnings]).toEqual([
      ["0000_init", "0001_late", "0002_next"],
      [
        {
          code: "JOURNAL_ORDER",
          message: `${FOLDERS}/journal-order/meta/_journal.json lists 0001_late behind 0000_init, but dates it earlier (1699999995000 < 1700000000000). Drizzle's own migrator skips it on a database that has 0000_init; raise its "when" if it was never applied anywhere.`,
          settledBy: ["0001_late"],
        },
      ],
    ]);
  });
});

describe("readFolder refuses", () => {
  const JOURNAL_ADVICE =
    "Restore it from version control. Where a database has these migrations, never generate them anew.";
  const cases: readonly (readonly [string, string, string, string?])[] = [
    [
      "no-such-folder",
      "FOLDER_NOT_FOUND",
      `The migrations folder ${FOLDERS}/no-such-folder cannot be read (ENOENT). Name the folder that drizzle-kit generates into.`,
    ],
    [
      "good/0000_init.sql",
      "FOLDER_NOT_FOUND",
      `The migrations folder ${FOLDERS}/good/0000_init.sql cannot be read (ENOTDIR). Name the folder that drizzle-kit generates into.`,
    ],
    [
      "journal-missing",
      "JOURNAL_MISSING",
      `${FOLDERS}/journal-missing has no migrations: neither meta/_journal.json, as drizzle-kit 0.x writes it, nor a folder with a migration.sql, as 1.0 does. Run drizzle-kit generate, or name the folder that it generates into ("out" in drizzle.config.ts).`,
    ],
    [
      "journal-wrong-shape",
      "JOURNAL_INVALID",
      `${FOLDERS}/journal-wrong-shape/meta/_journal.json cannot be used: entry 1 (0000_init) has no "when" in whole milliseconds, but "yesterday". ${JOURNAL_ADVICE}`,
    ],
    [
      "journal-wrong-dialect",
      "JOURNAL_INVALID",
      `${FOLDERS}/journal-wrong-dialect/meta/_journal.json cannot be used: its dialect is "mysql", and this migrator applies "postgresql". ${JOURNAL_ADVICE}`,
    ],
    [
      "tag-outside-folder",
      "JOURNAL_INVALID",
      `${FOLDERS}/tag-outside-folder/meta/_journal.json cannot be used: the tag of entry 1, "../good/0000_init", is not a plain file name. ${JOURNAL_ADVICE}`,
    ],
    [
      "undated-folder",
      "LAYOUT_UNSUPPORTED",
      `${FOLDERS}/undated-folder/init/migration.sql: the name of its folder must begin with a time, YYYYMMDDHHMMSS_, as drizzle-kit 1.0 writes it; Drizzle's own migrator fails on it, too. Rename the folder, or move it out of the migrations.`,
      "init",
    ],
    [
      "two-layouts",
      "LAYOUT_UNSUPPORTED",
      `${FOLDERS}/two-layouts/20260101120000_next/migration.sql has the layout of drizzle-kit 1.0, but ${FOLDERS}/two-layouts also has a journal as drizzle-kit 0.x writes it, so nobody can tell which of the two counts. Run "drizzle-kit up", or remove what does not belong there.`,
    ],
    [
      "migration-file-missing",
      "MIGRATION_FILE_MISSING",
      `${FOLDERS}/migration-file-missing/0001_gone.sql does not exist, although ${FOLDERS}/migration-file-missing/meta/_journal.json lists 0001_gone. Restore the file, or remove its entry if it was never applied anywhere.`,
      "0001_gone",
    ],
    [
      "duplicate-tag",
      "DUPLICATE_TAG",
      `${FOLDERS}/duplicate-tag/meta/_journal.json lists 0000_init more than once, and its file would be applied as often. Remove the surplus entry, which a merge usually left behind.`,
      "0000_init",
    ],
  ];

  test.each(cases)("the folder %s with %s", async (name, code, message, migration) => {
    const refusal = await refusalOf(`${FOLDERS}/${name}`);

    expect(refusal).toEqual([code, message, migration]);
  });

  test("a journal with a merge conflict, naming the line of its marker", async () => {
    const [code, message] = await refusalOf(`${FOLDERS}/journal-not-json`);

    expect(code).toBe("JOURNAL_INVALID");
    expect(message).toMatch(
      /journal-not-json\/meta\/_journal\.json .*line 4 is a merge conflict marker\./,
    );
  });
});

describe("readFolder refuses, of files that git cannot keep,", () => {
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "folder-"));
    mkdirSync(join(folder, "meta"));
    writeJournal({ dialect: "postgresql", entries: [{ tag: "0000_init", when: 1 }] });
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function writeJournal(journal: unknown): void {
    writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  }

  test.each([
    ["a byte order mark", [0xef, 0xbb, 0xbf, 0x3b], "BYTE_ORDER_MARK"],
    ["Latin-1", [0x2d, 0x2d, 0xe9], "MIGRATION_FILE_UNREADABLE"],
    ["UTF-16 with a mark", [0xff, 0xfe, 0x3b, 0], "MIGRATION_FILE_UNREADABLE"],
    ["UTF-16 without a mark", [0x3b, 0, 0x0a, 0], "MIGRATION_FILE_UNREADABLE"],
    ["a surrogate in UTF-8", [0xed, 0xa0, 0x80], "MIGRATION_FILE_UNREADABLE"],
  ])("%s", async (_name, bytes, code) => {
    writeFileSync(join(folder, "0000_init.sql"), Uint8Array.from(bytes));

    const [found, message, migration] = await refusalOf(folder);

    expect([found, migration]).toEqual([code, "0000_init"]);
    expect(message).toContain(join(folder, "0000_init.sql"));
  });

  test("a directory in the place of a migration's file", async () => {
    mkdirSync(join(folder, "0000_init.sql"));

    const refusal = await refusalOf(folder);

    const path = join(folder, "0000_init.sql");
    expect(refusal).toEqual([
      "MIGRATION_FILE_UNREADABLE",
      `${path} cannot be read (EISDIR). Make it a readable file.`,
      "0000_init",
    ]);
  });

  test.each([
    ["just", 513 * 1024 ** 2, "513 MB"],
    ["far", 3 * 1024 ** 3, "3,072 MB"],
  ])("a file that is %s too long for a text, and says so", async (_name, bytes, size) => {
    writeFileSync(join(folder, "0000_init.sql"), "select 1;");
    truncateSync(join(folder, "0000_init.sql"), bytes);

    const [code, message] = await refusalOf(folder);

    expect([code, message?.includes(`has ${size}`)]).toEqual(["MIGRATION_FILE_UNREADABLE", true]);
  });

  test("a file that the system cannot open, naming the reason", async () => {
    const path = join(folder, "0000_init.sql");
    symlinkSync(path, path);

    const refusal = await refusalOf(folder);

    expect(refusal).toEqual([
      "MIGRATION_FILE_UNREADABLE",
      `${path} cannot be read (ELOOP). Make it a readable file.`,
      "0000_init",
    ]);
  });

  test("a directory in the place of the journal", async () => {
    rmSync(join(folder, "meta", "_journal.json"));
    mkdirSync(join(folder, "meta", "_journal.json"));

    const [code, message] = await refusalOf(folder);

    expect([code, message?.includes("EISDIR")]).toEqual(["JOURNAL_INVALID", true]);
  });

  test.each([
    ["no object", null, "it is not a JSON object"],
    ["a list", [], "it is not a JSON object"],
    ["no entries", {}, 'it has no list named "entries"'],
    ["an entry that is no object", { entries: [7] }, "entry 1 is not an object"],
    ["an entry without tag", { entries: [{ when: 1 }] }, "entry 1 has no tag"],
    ["an empty tag", { entries: [{ tag: "", when: 1 }] }, "entry 1 has no tag"],
    ["a tag with a backslash", { entries: [{ tag: "a\\b", when: 1 }] }, "not a plain file name"],
    ["the parent folder as tag", { entries: [{ tag: "..", when: 1 }] }, "not a plain file name"],
    ["a time in pieces", { entries: [{ tag: "a", when: 1.5 }] }, 'entry 1 (a) has no "when"'],
    ["the dialect sqlite", { dialect: "sqlite", entries: [] }, 'its dialect is "sqlite"'],
  ])("a journal with %s", async (_name, journal, reason) => {
    writeJournal(journal);

    const [code, message] = await refusalOf(folder);

    expect([code, message?.includes(reason)]).toEqual(["JOURNAL_INVALID", true]);
  });
});

const JOURNAL = '{\n  "entries": [\n  ]\n}\n';

test.each([
  ["a byte order mark", `\ufeff${JOURNAL}`, "byte order mark"],
  ["UTF-16 with a mark", Buffer.from(`\ufeff${JOURNAL}`, "utf16le").toString("utf8"), "UTF-16"],
  ["UTF-16 without a mark", Buffer.from(JOURNAL, "utf16le").toString("utf8"), "UTF-16"],
  [
    "conflict markers",
    JOURNAL.replace("[\n", "[\n<<<<<<< HEAD\n=======\n>>>>>>> other\n"),
    "line 3 is a merge conflict marker",
  ],
  ["a comma too many", '{"entries": [],}', "it is not JSON ("],
  ["a marker with CRLF", `{\r\n=======\r\n}`, "line 2 is a merge conflict marker"],
])("names what is wrong with a journal that has %s", (_what, text, named) => {
  expect(() => parseJournal(text, "j.json")).toThrow(named);
});

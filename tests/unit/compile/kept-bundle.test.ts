import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { writeJournaledFolder, writeNamedFolder } from "../../setup/folders.ts";

const MIGRATIONS = [
  { tag: "0000_init", when: 1_700_000_000_000, sql: 'CREATE TABLE "a" ("id" int);\r\n' },
  {
    tag: "0001_more",
    when: 1_700_000_001_000,
    sql: `-- neon-migrate: no-transaction\nALTER TABLE "a" ADD COLUMN "é" text NOT NULL;--> statement-breakpoint\nCREATE INDEX CONCURRENTLY "i" ON "a" ("id");\nSELECT 'two\nlines';`,
  },
];

let scratch = "";
let folder = "";
let cache = "";

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "kept-bundle-"));
  folder = join(scratch, "drizzle");
  cache = join(scratch, "cache");
  writeJournaledFolder(folder, MIGRATIONS);
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function compile(): Promise<Bundle> {
  return compileBundle(folder, { cache });
}

function keptFile(): string {
  const [name = "none"] = readdirSync(cache);
  return join(cache, name);
}

/** Rewrites the kept bundle with its right hash, so that whoever reads it shows that he did. */
function mark(edit: (body: string) => string = (body) => body): void {
  const [head = "", ...rest] = readFileSync(keptFile(), "utf8").split("\n");
  const body = edit(rest.join("\n").replaceAll("CreateStmt", "MarkedStmt"));
  const sum = createHash("sha256").update(body).digest("hex");
  writeFileSync(keptFile(), `${head.slice(0, head.lastIndexOf(" "))} ${sum}\n${body}`);
}

function isMarked({ migrations }: Bundle): boolean {
  return migrations[0]?.statements[0]?.kind === "MarkedStmt";
}

describe("a kept bundle", () => {
  test("is to the byte what would be compiled, in either layout", async () => {
    const fresh = JSON.stringify(await compileBundle(folder));
    await compile();

    const kept = JSON.stringify(await compile());

    const named = join(scratch, "named");
    const tags = ["20240101000000_a", "20240102000000_b"];
    writeNamedFolder(
      named,
      MIGRATIONS.map((each, index) => ({ ...each, tag: tags[index] ?? "" })),
    );
    await compileBundle(named, { cache });
    const keptNamed = await compileBundle(named, { cache });
    expect(kept).toBe(fresh);
    expect(JSON.stringify(keptNamed)).toBe(JSON.stringify(await compileBundle(named)));
  });

  test("is used as long as nothing changes", async () => {
    await compile();
    mark();

    const again = await compile();

    expect(isMarked(again)).toBe(true);
  });

  test("is not used for a changed text, time, name, order or compiler", async () => {
    const [first, second] = MIGRATIONS;
    if (first === undefined || second === undefined) throw new Error("There are two.");
    const changes: readonly (() => void)[] = [
      () => writeFileSync(join(folder, "0000_init.sql"), first.sql.replace("int", "bigint")),
      () => writeFileSync(join(folder, "0000_init.sql"), `${first.sql}\n`),
      () => writeJournaledFolder(folder, [{ ...first, when: first.when + 1 }, second]),
      () => writeJournaledFolder(folder, [{ ...first, tag: "0000_other" }, second]),
      () => writeJournaledFolder(folder, [first]),
      () => {
        const [head = "", ...rest] = readFileSync(keptFile(), "utf8").split("\n");
        const words = head.split(" ");
        words[words.length - 2] = "0".repeat(64);
        writeFileSync(keptFile(), [words.join(" "), ...rest].join("\n"));
      },
    ];
    for (const change of changes) {
      writeJournaledFolder(folder, MIGRATIONS);
      rmSync(cache, { recursive: true, force: true });
      await compile();
      mark();
      change();

      const again = await compile();

      expect(isMarked(again)).toBe(false);
      expect(again).toEqual(await compileBundle(folder));
    }
  });

  test("is made anew where its file is damaged at any place", async () => {
    await compile();
    const whole = readFileSync(keptFile());
    const fresh = await compileBundle(folder);
    const places = [0, 5, 30, 100, 140, 161, 162, 400, whole.length - 1];
    const damages = [
      ...places.map((at) => whole.subarray(0, at)),
      ...places.map((at) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return bytes;
      }),
      Buffer.concat([whole, Buffer.from(" ")]),
      Buffer.from("{}"),
      Buffer.alloc(0),
    ];
    for (const damage of damages) {
      writeFileSync(keptFile(), damage);

      const again = await compile();

      expect(again).toEqual(fresh);
      expect(readFileSync(keptFile())).toEqual(whole);
    }
  });

  test("is not read where another user may have written it, or where its name leads elsewhere", async () => {
    await compile();
    mark();
    const path = keptFile();
    chmodSync(path, 0o666);
    const writable = await compile();
    mark();
    const elsewhere = join(scratch, "elsewhere");
    writeFileSync(elsewhere, readFileSync(path), { mode: 0o600 });
    rmSync(path);
    symlinkSync(elsewhere, path);

    const linked = await compile();

    expect([isMarked(writable), isMarked(linked)]).toEqual([false, false]);
    // The link gave way, and the file behind it is as it was.
    expect(statSync(path).isFile()).toBe(true);
    expect(readFileSync(elsewhere, "utf8")).toContain("MarkedStmt");
  });

  test("is for its owner's eyes only", async () => {
    await compile();

    expect(statSync(keptFile()).mode & 0o777).toBe(0o600);
    expect(statSync(cache).mode & 0o077).toBe(0);
  });

  test("is not made where nothing can be written, and nobody hears of it", async () => {
    writeFileSync(cache, "a file is in the way");

    const bundle = await compile();

    expect(bundle).toEqual(await compileBundle(folder));
    expect(readFileSync(cache, "utf8")).toBe("a file is in the way");
  });

  test("is not made of a folder that is refused", async () => {
    writeFileSync(join(folder, "0001_more.sql"), "SELEC 1;");

    await expect(compile()).rejects.toMatchObject({ code: "SQL_INVALID" });
    await expect(compile()).rejects.toMatchObject({ code: "SQL_INVALID" });

    expect(() => readdirSync(cache)).toThrow("ENOENT");
  });

  test("makes room: the files of folders that are gone for long are removed", async () => {
    mkdirSync(cache, { mode: 0o700 });
    for (let index = 0; index < 80; index += 1) {
      const path = join(cache, `old-${index}`);
      writeFileSync(path, "");
      utimesSync(path, index, index);
    }

    await compile();

    const left = readdirSync(cache);
    expect(left).toHaveLength(64);
    expect(left).toContain("old-79");
    expect(left).not.toContain("old-16");
  });
});

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { isCosmeticEdit } from "../../../lib/bundle/cosmetic-edit.ts";
import { readBundle } from "../../../lib/bundle/read-bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { loadParser } from "../../../lib/compile/sql/parser.ts";
import { digestTokens } from "../../../lib/compile/sql/tokens.ts";
import { planMigrations } from "../../../lib/plan/plan-migrations.ts";
import { parseRequest } from "../../../lib/request.ts";
import { makeBundle, makeLedger, makeMigration, rowOf } from "../../setup/make-migration.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

beforeAll(loadParser);

describe("a statement's digest", () => {
  const digest = digestTokens("select a.b, 'x y' from t").digest;

  // Checkpoints in databases hold these. With others, a run that stopped half-way would count as edited.
  test.each([
    ['CREATE TABLE "t" ("id" serial PRIMARY KEY, "n" numeric(10, 2) DEFAULT 1.5)', "c4b2445165b2"],
    ["create index concurrently i on t (n) where n >= 0 and s <> 'it''s'", "f51fa7f5d295"],
    ["select /* why */ 1 -- because\n  + 2", "73b57a2b50e1"],
    ["insert into t values (E'a\\n', U&'d\\0061t', $$x$$, $a$y$a$, .5, 1e5)", "e9d1e8724880"],
    ["ALTER TYPE \"mood\" ADD VALUE 'great' BEFORE 'ok'", "aea63859eef7"],
    ["do $body$ begin perform 'é😀'; end $body$", "d9d9e36409c1"],
    [
      "select '{\"a\": 1}'::jsonb->>'a', a.b[1], x -> 'y', -1, 1-1 from a where b != 'c'",
      "e322b531ed8d",
    ],
  ])("of %j is that of the first versions", (text, first) => {
    expect(digestTokens(text).digest).toBe(first);
  });

  test.each([
    "select  a.b,\n\t'x y' from t",
    "select a . b,'x y'from t",
    "select /* why */ a.b, 'x y' -- é\nfrom t",
    "select a.b, 'x y'\r\nfrom\ft",
  ])("is the same for %j", (text) => {
    expect(digestTokens(text).digest).toBe(digest);
  });

  test.each([
    "select a.b, 'x  y' from t",
    "select a.b, 'x y' from T",
    "select ab, 'x y' from t",
    "select a.b, 'x y' from t t",
    "select a.b, 'x /* */y' from t",
    "select \"a\".b, 'x y' from t",
  ])("is another for %j", (text) => {
    expect(digestTokens(text).digest).not.toBe(digest);
  });
});

describe("isCosmeticEdit", () => {
  const migration = makeMigration("0000_a", 1, "create table t (a int);\n-- é\nselect 1;\n");
  const unix = migration.sql;

  test.each([
    ["with CRLF", unix.replaceAll("\n", "\r\n"), true],
    ["without its last line feed", unix.trimEnd(), true],
    ["with one more line feed", `${unix}\n`, false],
    ["itself", unix, false],
    ["another text", "select 2", false],
  ])("of a file %s: %s", (_name, text, expected) => {
    expect(isCosmeticEdit(migration, sha256(text))).toBe(expected);
  });

  test("is not sure of line ends inside a literal", () => {
    const spanning = makeMigration("0000_a", 1, "select 'a\nb';\n");

    expect(isCosmeticEdit(spanning, sha256("select 'a\r\nb';\r\n"))).toBe(false);
    expect(isCosmeticEdit(spanning, sha256("select 'a\nb';"))).toBe(true);
  });
});

describe("a plan", () => {
  const applied = makeMigration("0000_a", 1_000, "select 1;\r\n");
  const edited = makeMigration("0000_a", 1_000, "select 1;\n");
  const changed = makeMigration("0000_a", 1_000, "select 2;\n");
  const strict = parseRequest({ modified: "error" });

  test("warns of an edit of comments and blanks, and refuses it never", () => {
    const plan = planMigrations(makeBundle(edited), makeLedger(rowOf(applied, 1)), strict);

    expect(plan.refusal).toBeNull();
    expect(plan.drift.modified).toEqual([]);
    expect(plan.warnings.map(({ code }) => code)).toEqual(["COSMETIC_EDIT"]);
    expect(plan.warnings[0]?.message).toContain("Migration 0000_a is no longer");
  });

  test("refuses any other", () => {
    const plan = planMigrations(makeBundle(changed), makeLedger(rowOf(applied, 1)), strict);

    expect(plan.refusal?.code).toBe("MODIFIED");
  });
});

describe("compileBundle", () => {
  let root: string;
  let folder: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "past-"));
    folder = join(root, "app", "drizzle");
    mkdirSync(join(folder, "meta"), { recursive: true });
    const entries = ["0000_a", "0001_b"].map((tag, idx) => ({ idx, when: idx + 1, tag }));
    const journal = { version: "7", dialect: "postgresql", entries };
    writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
    write("0001_b", "select 'b';");
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function write(tag: string, sql: string): void {
    writeFileSync(join(folder, `${tag}.sql`), sql);
  }

  function git(...args: readonly string[]): void {
    const who = [
      "-c",
      "user.name=t",
      "-c",
      "user.email=t@example.com",
      "-c",
      "core.autocrlf=false",
    ];
    execFileSync("git", ["-C", root, ...who, ...args], { stdio: "pipe" });
  }

  const VERSIONS = [
    "create table é (a int);",
    "-- why\ncreate table é (a int);\n",
    "create table é (a  bigint);",
    "create table é (\n  a int -- 😀\n);",
  ];

  function commitAll(): void {
    git("init", "-q");
    for (const version of VERSIONS) {
      write("0000_a", version);
      git("add", "-A");
      git("commit", "-q", "-m", "x");
    }
  }

  const past = (bundle: Bundle) => bundle.migrations.map(({ sameAs }) => sameAs);

  test("names the earlier versions in git that say the same, and their other line ends", async () => {
    commitAll();

    const bundle = await compileBundle(folder);

    const [first = "", second = "", third = ""] = VERSIONS;
    const [sameAs = [], none] = past(bundle);
    expect(sameAs).toEqual(expect.arrayContaining([first, second, `${first}\r\n`].map(sha256)));
    expect(sameAs).not.toContain(sha256(third));
    expect(none).toBeUndefined();
    expect(readBundle(JSON.parse(JSON.stringify(bundle)))).toEqual(bundle);
  });

  test("names what was committed when the file is edited since", async () => {
    commitAll();
    write("0000_a", "create table é (a int); -- edited");

    const [sameAs] = past(await compileBundle(folder));

    expect(sameAs).toContain(sha256(VERSIONS.at(-1) ?? ""));
  });

  test("names nothing outside of git, and where the history was cut off", async () => {
    write("0000_a", "select 1;");
    expect(past(await compileBundle(folder))).toEqual([undefined, undefined]);

    commitAll();
    const shallow = join(root, "shallow");
    git("clone", "-q", "--depth", "1", `file://${root}`, shallow);

    expect(past(await compileBundle(join(shallow, "app", "drizzle")))).toEqual([
      undefined,
      undefined,
    ]);
  });
});

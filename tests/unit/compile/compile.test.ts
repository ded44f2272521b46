import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { describe, expect, test } from "vitest";
import { type Bundle, chunksOf, statementText } from "../../../lib/bundle/bundle.ts";
import { bundleHash, contentHash } from "../../../lib/bundle/hash.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { MigratorError } from "../../../lib/errors.ts";
import { checkAll } from "../../setup/check-all.ts";

const FOLDERS = "tests/fixtures/folders";
const EXAMPLE = "drizzle";
const GOOD = ["good", "good-crlf", "good-old-journal", "empty-journal"].map(
  (name) => `${FOLDERS}/${name}`,
);

function texts(bundle: Bundle): readonly (readonly string[])[] {
  return bundle.migrations.map((each) =>
    each.statements.map((statement) => statementText(each, statement)),
  );
}

async function refusalOf(folder: string): Promise<MigratorError> {
  const thrown: unknown = await compileBundle(folder).catch((error: unknown) => error);
  if (!(thrown instanceof MigratorError)) throw new Error(`${folder} was not refused`);
  return thrown;
}

describe("compileBundle", () => {
  test("turns a folder into a bundle of plain JSON", async () => {
    const bundle = await compileBundle(`${FOLDERS}/good-crlf`);

    const sql = readFileSync(`${FOLDERS}/good-crlf/0000_init.sql`, "utf8");
    const hash = createHash("sha256").update(sql).digest("hex");
    const tag = "0000_init";
    const when = 1_700_000_000_000;
    const touches = [{ kind: "table", schema: null, name: "users" }];
    const digest: unknown = expect.stringMatching(/^[0-9a-f]{12}$/);
    const plain = { digest, mode: "transactional", effect: null };
    expect(bundle).toEqual({
      bundleVersion: 1,
      layout: "0.x",
      hash: bundleHash([{ tag, when, hash }]),
      contentHash: contentHash(bundle.migrations),
      warnings: [],
      migrations: [
        {
          tag,
          name: "20231114221320_init",
          when,
          hash,
          sql,
          statements: [
            {
              start: 0,
              end: 84,
              chunk: 0,
              line: 1,
              column: 1,
              kind: "CreateStmt",
              ...plain,
              touches,
            },
            { start: 124, end: 132, chunk: 1, line: 7, column: 1, kind: "SelectStmt", ...plain },
            { start: 135, end: 146, chunk: 1, line: 8, column: 1, kind: "SelectStmt", ...plain },
          ],
          findings: [
            {
              rule: "serial",
              severity: "note",
              statement: 1,
              line: 2,
              column: 2,
              message: `"id" of "users" has the type serial; take integer GENERATED ALWAYS AS IDENTITY instead.`,
              rewrite: `"id" integer GENERATED ALWAYS AS IDENTITY`,
              table: null,
              createdIn: null,
              asks: null,
            },
          ],
        },
      ],
    });
  });

  test("keeps dollar quotes, characters beyond ASCII and the bytes between statements apart", async () => {
    const bundle = await compileBundle(`${FOLDERS}/good`);

    expect(texts(bundle)).toEqual([
      [
        'CREATE TABLE "users" (\n\t"id" serial PRIMARY KEY NOT NULL,\n\t"name" text NOT NULL\n)',
        'CREATE INDEX "users_name_idx" ON "users" USING btree ("name")',
      ],
      [
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$\nBEGIN\n\t-- it's not the end; not yet\n\tNEW.name := NEW.name || ';😀';\n\tRETURN NEW;\nEND;\n$body$",
        "INSERT INTO \"users\" (\"name\") VALUES ('é;☃'), ('--> no breakpoint')",
        'UPDATE "users" SET "name" = U&\'\\2603\'',
      ],
    ]);
  });

  test("accepts a journal without entries as an empty bundle", async () => {
    const bundle = await compileBundle(`${FOLDERS}/empty-journal`);

    const hash = bundleHash([]);
    expect(bundle).toEqual({
      bundleVersion: 1,
      layout: "0.x",
      hash,
      contentHash: contentHash([]),
      migrations: [],
      warnings: [],
    });
  });

  test("hands on the warnings of the folder", async () => {
    const bundle = await compileBundle(`${FOLDERS}/orphan-file`);

    expect(bundle.warnings.map(({ code }) => code)).toEqual(["ORPHAN_FILE"]);
  });

  test.each([...GOOD, EXAMPLE])(
    "agrees with Drizzle's own reader on order, times, hashes and chunks of %s",
    async (folder) => {
      const bundle = await compileBundle(folder);

      const drizzle = readMigrationFiles({ migrationsFolder: folder });
      expect(
        bundle.migrations.map((each) => ({
          sql: chunksOf(each),
          folderMillis: each.when,
          hash: each.hash,
        })),
      ).toEqual(drizzle.map(({ sql, folderMillis, hash }) => ({ sql, folderMillis, hash })));
    },
  );

  test.each([...GOOD, EXAMPLE])("hashes the bytes of the files of %s", async (folder) => {
    const bundle = await compileBundle(folder);

    const hashes = bundle.migrations.map(({ tag }) =>
      createHash("sha256")
        .update(readFileSync(join(folder, `${tag}.sql`)))
        .digest("hex"),
    );
    expect(bundle.migrations.map(({ hash }) => hash)).toEqual(hashes);
  });
});

describe("compileBundle refuses", () => {
  test("SQL that Postgres cannot read, with file, line, column, statement and caret", async () => {
    const { code, message, facts } = await refusalOf(`${FOLDERS}/sql-invalid`);

    expect({ code, message, facts }).toEqual({
      code: "SQL_INVALID",
      message: `${FOLDERS}/sql-invalid/0001_typo.sql:5:2: syntax error at or near "SELEC". Correct this statement.`,
      facts: {
        migration: "0001_typo",
        statement: {
          index: 3,
          line: 5,
          column: 2,
          excerpt: '-- the typo\n\tSELEC count(*) FROM "users"',
        },
        detail: '\tSELEC count(*) FROM "users"; SELECT 1;\n\t^',
        hint: 'If the statement is right, and only this parser is older than the server, let it through: "-- neon-migrate: unparsed" on the line above.',
      },
    });
  });

  const HINT =
    'A "--> statement-breakpoint" lies inside a literal, a comment or a statement here. Drizzle splits the file there all the same, so move it behind the statement\'s end.';

  test("a breakpoint inside a literal, and says that this is the reason", async () => {
    const { code, message, facts } = await refusalOf(`${FOLDERS}/breakpoint-inside-literal`);

    expect({ code, message, facts }).toEqual({
      code: "SQL_INVALID",
      message: `${FOLDERS}/breakpoint-inside-literal/0000_init.sql:6:38: unterminated quoted string at or near "'a…. Correct this statement, or move the statement breakpoint out of it.`,
      facts: {
        migration: "0000_init",
        statement: {
          index: 2,
          line: 6,
          column: 38,
          excerpt: `INSERT INTO "users" ("name") VALUES ('a`,
        },
        detail: `INSERT INTO "users" ("name") VALUES ('a\n${" ".repeat(37)}^`,
        hint: HINT,
      },
    });
  });

  test("a breakpoint inside a comment, and says that this is the reason", async () => {
    const { code, facts } = await refusalOf(`${FOLDERS}/breakpoint-inside-comment`);

    expect([code, facts.hint]).toEqual(["SQL_INVALID", HINT]);
  });

  test("the baseline of drizzle-kit pull, and says what to do with it", async () => {
    const { code, message, facts } = await refusalOf(`${FOLDERS}/pull-baseline`);

    expect([code, message, facts.migration]).toEqual([
      "PULL_BASELINE",
      `${FOLDERS}/pull-baseline/0000_quiet_baseline.sql:3:1: all SQL of this file lies in one comment that holds statement breakpoints, as "drizzle-kit pull" writes its baseline, and split there it is no valid SQL. Remove the comment's text if the database already has these tables, or the marks /* and */ if the migration shall create them.`,
      "0000_quiet_baseline",
    ]);
  });
});

describe("compileBundle of a folder made for the occasion", () => {
  function makeFolder(files: readonly string[]): string {
    const folder = mkdtempSync(join(tmpdir(), "compile-"));
    mkdirSync(join(folder, "meta"));
    const entries = files.map((_, index) => ({ tag: `m${index}`, when: index }));
    writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify({ entries }));
    for (const [index, sql] of files.entries()) writeFileSync(join(folder, `m${index}.sql`), sql);
    return folder;
  }

  test("compiles three hundred migrations", async () => {
    const table = (index: number) =>
      `CREATE TABLE t${index} (id int, "ü" text DEFAULT ';');--> statement-breakpoint\n-- why\nCREATE INDEX ON t${index} (id);`;
    const folder = makeFolder(Array.from({ length: 300 }, (_, index) => table(index)));

    const bundle = await compileBundle(folder);

    rmSync(folder, { recursive: true });
    expect(texts(bundle)).toEqual(
      bundle.migrations.map((_, index) => [
        `CREATE TABLE t${index} (id int, "ü" text DEFAULT ';')`,
        `CREATE INDEX ON t${index} (id)`,
      ]),
    );
  });

  test("finds the same with the parse trees that cutting leaves as with trees made again", async () => {
    const folder = makeFolder([
      "CREATE TABLE t (id int);\nCREATE TABLE u (id int)",
      "\n\n-- ü\nALTER TABLE t ADD COLUMN a int NOT NULL; ALTER TABLE t ADD COLUMN b serial;",
      '--> statement-breakpoint\n\t ALTER TABLE u ADD COLUMN "ü" char(3), ADD COLUMN c uuid DEFAULT gen_random_uuid();',
    ]);

    const { migrations } = await compileBundle(folder);

    rmSync(folder, { recursive: true });
    const found = migrations.map(({ findings }) => findings);
    expect(found.flat().length).toBeGreaterThan(4);
    expect(found).toEqual(checkAll(migrations));
  });

  test("shows only the surroundings of an error in a very long line, and a short excerpt", async () => {
    const folder = makeFolder([
      `select ${"1, ".repeat(1_000)} from; ${"select 2; ".repeat(1_000)}`,
    ]);

    const { facts } = await refusalOf(folder);

    rmSync(folder, { recursive: true });
    expect([
      facts.statement?.excerpt.length,
      facts.detail?.split("\n").map((l) => l.length),
    ]).toEqual([500, [120, 61]]);
  });
});

describe("the example folder", () => {
  test("compiles without warnings to at least eight migrations, each with a statement", async () => {
    const { migrations, warnings } = await compileBundle(EXAMPLE);

    expect(warnings).toEqual([]);
    expect(migrations.length).toBeGreaterThanOrEqual(8);
    expect(migrations.filter(({ statements }) => statements.length === 0)).toEqual([]);
  });

  test("is dated in strictly rising order, and in the past", async () => {
    const { migrations } = await compileBundle(EXAMPLE);

    const times = migrations.map(({ when }) => when);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    expect(Math.max(...times)).toBeLessThan(Date.now());
  });

  test("holds what a product has: enums, a trigger function, policies, a backfill, indexes", async () => {
    const { migrations } = await compileBundle(EXAMPLE);

    const kinds = new Set(migrations.flatMap((each) => each.statements.map(({ kind }) => kind)));
    expect([...kinds]).toEqual(
      expect.arrayContaining([
        "CreateStmt",
        "CreateEnumStmt",
        "CreateFunctionStmt",
        "CreateTrigStmt",
        "CreatePolicyStmt",
        "UpdateStmt",
        "IndexStmt",
      ]),
    );
  });

  test("holds nothing but the schema, drizzle-kit's own files and SQL", () => {
    const names = readdirSync(EXAMPLE).filter((name) => !name.endsWith(".sql"));

    expect(names.sort()).toEqual(["meta", "schema.ts"]);
  });
});

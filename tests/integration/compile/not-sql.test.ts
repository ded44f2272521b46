import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { MigratorError } from "../../../lib/errors.ts";
import { drizzle0, useInterop } from "../../setup/interop.ts";

const interop = useInterop();

/** A file that is not all SQL: the code, place and words of its refusal. */
type Case<Content = string> = readonly [string, Content, string, string, string];

const HEAD = "CREATE TABLE a (id int, name text);\n";
const utf16 = (mark: string) => Buffer.from(`${mark}${HEAD}`, "utf16le");

const PSQL: readonly Case[] = [
  [
    "\\restrict",
    `-- dump\n\n\\restrict Xy1\n${HEAD}\\unrestrict Xy1\n`,
    "PSQL_ONLY",
    "3:1",
    "both",
  ],
  ["\\connect", `${HEAD}\\connect shop\nSELECT 1;`, "PSQL_ONLY", "2:1", "its connection"],
  ["\\c without a semicolon before", "SELECT 1\n  \\c shop\n", "PSQL_ONLY", "2:3", "\\c is a comm"],
  ["\\copy", `${HEAD}\\copy a from 'a.csv' csv\n`, "PSQL_ONLY", "2:1", "Write the rows as INSERT"],
  ["\\i", "\\i other.sql\n", "PSQL_ONLY", "1:1", "in its place"],
  ["\\ir behind a statement", `${HEAD}\\ir ../b.sql`, "PSQL_ONLY", "2:1", "\\ir is a command"],
  ["\\gexec", "SELECT 'drop table a' \\gexec\n", "PSQL_ONLY", "1:23", "EXECUTE"],
  ["\\set", "\\set ON_ERROR_STOP on\r\nSELECT 1;", "PSQL_ONLY", "1:1", "\\set is a command"],
  [
    "\\echo behind a breakpoint",
    "SELECT 1;--> statement-breakpoint\n\\echo x",
    "PSQL_ONLY",
    "2:1",
    "Remove it",
  ],
  [
    "an escaped line break",
    `${HEAD}\\nCREATE TABLE b ();`,
    "PSQL_ONLY",
    "2:1",
    "a backslash stands",
  ],
  ["a variable", "GRANT ALL ON a TO :user;", "PSQL_ONLY", "1:19", ":user is a variable"],
  ["a quoted variable", `${HEAD}INSERT INTO a VALUES (:'id');`, "PSQL_ONLY", "2:23", ":'id' is"],
  ["a variable for a name", 'SELECT 1 FROM :"tab";', "PSQL_ONLY", "1:15", ':"tab" is'],
];

const COPY = "COPY public.a (id, name) FROM stdin;\n";
const COPIES: readonly Case[] = [
  ["rows", `${HEAD}${COPY}1\tx\n2\t\\N\n\\.\n`, "PSQL_ONLY", "2:1", "pg_dump --inserts"],
  ["no rows", `${HEAD}${COPY}\\.\n`, "PSQL_ONLY", "2:1", "COPY … FROM STDIN takes"],
  ["rows with quotes", `${HEAD}${COPY}'it; is\n\\.\n`, "PSQL_ONLY", "2:1", "COPY … FROM STDIN"],
  ["rows that begin as SQL does", `${COPY}select\t1\n\\.\n`, "PSQL_ONLY", "1:1", "COPY … FROM"],
  ["rows as CSV", `COPY a FROM STDIN WITH (FORMAT csv);\n"1",x\n\\.\n`, "PSQL_ONLY", "1:1", "COPY"],
  ["nothing behind it", `${HEAD}-- load\n${COPY}`, "PSQL_ONLY", "3:1", "COPY … FROM STDIN takes"],
];

const MERGE = "<<<<<<< HEAD\n+ 1\n=======\n+ 2\n>>>>>>> feature\n";
const MERGES: readonly Case[] = [
  [
    "between statements",
    `${HEAD}<<<<<<< HEAD\nSELECT 1;\n=======\nSELECT 2;\n>>>>>>> b\n`,
    "MERGE_CONFLICT",
    "2:1",
    "marker of a merge",
  ],
  ["that read as operators", `SELECT 1\n${MERGE};`, "MERGE_CONFLICT", "2:1", "marker of a merge"],
  ["of which one was forgotten", `${HEAD}SELECT 1;\n=======\n`, "MERGE_CONFLICT", "3:1", "marker"],
  [
    "with CRLF and a base",
    `SELECT 1\r\n<<<<<<< a\r\n;\r\n||||||| b\r\n;\r\n=======\r\n;\r\n>>>>>>> c\r\n`,
    "MERGE_CONFLICT",
    "2:1",
    "marker",
  ],
  [
    "in a function's body",
    `DO $$ BEGIN\nPERFORM 1\n${MERGE};END $$;`,
    "MERGE_CONFLICT",
    "3:1",
    "marker",
  ],
  [
    "around a column",
    `CREATE TABLE a (n int DEFAULT 1\n<<<<<<< HEAD\n, b int\n=======\n, c int\n>>>>>>> x\n);`,
    "MERGE_CONFLICT",
    "2:1",
    "marker",
  ],
];

const BYTES: readonly Case<Buffer>[] = [
  ["UTF-16 with a mark", utf16("\ufeff"), "MIGRATION_FILE_UNREADABLE", "1:1", "is UTF-16, as"],
  [
    "UTF-16, big end first",
    utf16("\ufeff").swap16(),
    "MIGRATION_FILE_UNREADABLE",
    "1:1",
    "is UTF-16, as",
  ],
  ["UTF-16 without a mark", utf16(""), "MIGRATION_FILE_UNREADABLE", "1:1", "UTF-16 without"],
  [
    "UTF-32",
    Buffer.from("fffe000053000000", "hex"),
    "MIGRATION_FILE_UNREADABLE",
    "1:1",
    "is UTF-32",
  ],
  [
    "a zero byte",
    Buffer.from(`${HEAD}SELECT 1\0;`),
    "MIGRATION_FILE_UNREADABLE",
    "2:9",
    "a zero byte",
  ],
  [
    "a tail of zero bytes",
    Buffer.from(`${HEAD}${"\0".repeat(512)}`),
    "MIGRATION_FILE_UNREADABLE",
    "2:1",
    "a zero byte",
  ],
  ["a byte order mark", Buffer.from(`\ufeff${HEAD}`), "BYTE_ORDER_MARK", "1:1", "byte order mark"],
];

async function refusalOf(folder: string): Promise<MigratorError> {
  const thrown: unknown = await compileBundle(folder).catch((error: unknown) => error);
  if (!(thrown instanceof MigratorError)) throw new Error(`${folder} was not refused`);
  return thrown;
}

async function refusesAsDrizzle(content: string | Buffer): Promise<readonly string[]> {
  const tag = "0000_init";
  const folder = interop.folderOf(drizzle0, [{ tag, when: 1_700_000_000_000, sql: "" }]);
  writeFileSync(join(folder, `${tag}.sql`), content);

  const { code, message, facts } = await refusalOf(folder);
  const byDrizzle = await interop.byDrizzle(drizzle0, folder).catch((error: unknown) => error);

  // The advice holds because no ledger can have the file.
  expect(byDrizzle).toBeInstanceOf(Error);
  expect(await interop.ledger()).toEqual([]);
  expect(facts.migration).toBe(tag);
  expect(`${message} ${facts.hint}`).not.toMatch(/unparsed|this parser|generate/);
  const [, line, column] = /0000_init\.sql:(\d+):(\d+): /.exec(message) ?? [];
  return [code, `${line}:${column}`, message];
}

describe.each<readonly [string, readonly Case<string | Buffer>[]]>([
  ["a command of psql", PSQL],
  ["COPY with data for psql", COPIES],
  ["markers of a merge", MERGES],
  ["bytes that are no text", BYTES],
])("compileBundle names %s, which Drizzle cannot apply either:", (_kind, cases) => {
  test.each(cases)("%s", async (_name, content, code, place, words) => {
    const [found, at, message] = await refusesAsDrizzle(content);

    expect([found, at]).toEqual([code, place]);
    expect(message).toContain(words);
  });
});

test.each([
  ["a literal", `INSERT INTO a (name) VALUES ('\n${MERGE}');`],
  ["a comment", `SELECT 1; /*\n${MERGE}*/`],
  ["a quoted name", `CREATE TABLE "\n${MERGE}" (id int);`],
])("lets a merge conflict in %s through, as Drizzle does, with a warning", async (_name, sql) => {
  const migration = { tag: "0000_init", when: 1_700_000_000_000, sql: `${HEAD}${sql}` };
  const folder = interop.folderOf(drizzle0, [migration]);

  const { warnings } = await compileBundle(folder);
  await interop.byDrizzle(drizzle0, folder);

  expect(warnings).toEqual([
    {
      code: "MERGE_CONFLICT",
      message: expect.stringMatching(/0000_init\.sql:3: a merge conflict lies in a literal/),
      settledBy: ["0000_init"],
    },
  ]);
});

test.each([
  ["COPY that sends rows out", "COPY a TO stdout;"],
  ["a backslash in a literal", "INSERT INTO a (name) VALUES ('\\restrict'), (E'\\\\.');"],
  ["a slice of an array", 'SELECT (ARRAY[1,2])[1:2], id::"int4" FROM a;'],
  ["a line of equals signs in a comment", "/*\n=======\n*/ SELECT 1; -- <<<<<<< HEAD"],
])("says nothing of %s", async (_name, sql) => {
  const migration = { tag: "0000_init", when: 1_700_000_000_000, sql: `${HEAD}${sql}` };
  const folder = interop.folderOf(drizzle0, [migration]);

  const { warnings } = await compileBundle(folder);
  const { status } = await interop.byUs(folder);

  expect([warnings, status]).toEqual([[], "applied"]);
});

test("names the place of a letter in Latin-1, and says what becomes of the file that Drizzle applied", async () => {
  const sql = `${HEAD}INSERT INTO a (name) VALUES ('Zürich \u00e9');`;
  const migration = { tag: "0000_init", when: 1_700_000_000_000, sql };
  const folder = interop.folderOf(drizzle0, [migration]);
  writeFileSync(join(folder, "0000_init.sql"), Buffer.from(sql, "latin1"));

  const { code, message } = await refusalOf(folder);
  await interop.byDrizzle(drizzle0, folder);
  writeFileSync(join(folder, "0000_init.sql"), sql);
  const report = await interop.byUs(folder);

  expect(code).toBe("MIGRATION_FILE_UNREADABLE");
  expect(message).toMatch(/:2:32: .* not valid UTF-8 .* reported as modified after that/);
  expect(report).toMatchObject({ status: "up-to-date", drift: { modified: [{}] } });
  expect(await interop.database.sql("select name from a")).toEqual([
    { name: "Z\ufffdrich \ufffd" },
  ]);
});

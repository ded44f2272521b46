import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { STATEMENT_BREAKPOINT } from "../../../lib/bundle/bundle.ts";
import { cutSteps, lockTimeoutOf, NOTHING_KNOWN, slicesOf } from "../../../lib/bundle/steps.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { loadParser } from "../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../lib/compile/statements.ts";
import { MigratorError } from "../../../lib/errors.ts";
import { makeMigration } from "../../setup/make-migration.ts";

beforeAll(loadParser);

/** What is said of the file, and of each statement. */
function said(sql: string): unknown {
  const cut = cutStatements(sql);
  if (!cut.ok) return cut;
  return [cut.directives ?? null, ...cut.statements.map(({ directives }) => directives ?? null)];
}

function problem(sql: string): string {
  const cut = cutStatements(sql);
  if (cut.ok || cut.code !== "DIRECTIVE_INVALID") return cut.ok ? "fine" : cut.code;
  const { line, column, message } = cut.problem;
  return `${line}:${column} ${message}`;
}

describe("a directive", () => {
  test("is said of the statement below it, and of no other", () => {
    const found = said(
      "select 1;\n-- neon-migrate: lock-timeout 30s\n-- neon-migrate: allow serial, char\n-- why\nselect 2;\nselect 3;",
    );

    expect(found).toEqual([null, null, { lockTimeoutMs: 30_000, allow: ["serial", "char"] }, null]);
  });

  test("at the head of the file is said of all of it where a blank line lies below", () => {
    const found = said(
      "-- neon-migrate: no-transaction\n--neon-migrate: lock-timeout 500ms\r\n-- neon-migrate: allow char\r\n\r\n-- neon-migrate: allow serial\r\nselect 1;",
    );

    expect(found).toEqual([
      { noTransaction: true, lockTimeoutMs: 500, allow: ["char"] },
      { allow: ["serial"] },
    ]);
  });

  test("at the head of the file is said of all of it where a breakpoint lies below", () => {
    const found = said(
      `-- neon-migrate: lock-timeout 2min\n${STATEMENT_BREAKPOINT}\n-- neon-migrate: allow char\n\nselect 1;${STATEMENT_BREAKPOINT}\n-- neon-migrate: allow json\n\nselect 2`,
    );

    expect(found).toEqual([{ lockTimeoutMs: 120_000, allow: ["char"] }, null, { allow: ["json"] }]);
  });

  test("is none inside a literal, a function's body, a name or another comment", () => {
    const mark = "\n-- neon-migrate: nonsense\n";
    const found = said(
      `select '${mark}'; do $$${mark}$$; /*${mark}*/ select 1 as "${mark}"; -- see -- neon-migrate: nonsense\n-- neon-migrate is fine, and so is http://neon-migrate: x`,
    );

    expect(found).toEqual([null, null, null, null]);
  });

  test.each([
    ["-- neon-migrate: no-transactions\nselect 1", '1:1 there is no directive "no-transactions"'],
    ["select 1;\n  -- neon-migrate:\nselect 1", '2:3 there is no directive ""'],
    ["-- neon-migrate no-transaction\nselect 1", "1:1 a colon is missing"],
    ["/* neon-migrate: no-transaction */\nselect 1", "1:1 a directive is a line comment"],
    ["-- neon-migrate: allow no-such\nselect 1", '1:1 there is no rule "no-such"'],
    ["-- neon-migrate: allow\nselect 1", "1:1 allow must name a rule"],
    ["-- neon-migrate: lock-timeout 5\nselect 1", '1:1 "5" is no duration'],
    ["-- neon-migrate: lock-timeout 0s\nselect 1", '1:1 "0s" is no duration'],
    ["-- neon-migrate: lock-timeout 25h\nselect 1", '1:1 "25h" is no duration'],
    ["-- neon-migrate: lock-timeout 1441min\nselect 1", '1:1 "1441min" is no duration'],
    [
      "-- neon-migrate: lock-timeout 1s\n-- neon-migrate: lock-timeout 2s\nselect 1",
      "2:1 lock-timeout is said twice",
    ],
    ["-- neon-migrate: no-transaction please\nselect 1", "1:1 nothing may stand behind"],
    [
      "select 1;\n-- neon-migrate: no-transaction\nselect 2",
      "2:1 no-transaction is said of a whole",
    ],
    ["select 1; -- neon-migrate: allow char\nselect 2", "1:11 it does not stand on a line"],
    ["select 1\n-- neon-migrate: allow char\n+ 2", "2:1 it stands inside a statement"],
    [
      `select 'é☃😀';${STATEMENT_BREAKPOINT}\n\t-- neon-migrate: allow char\n`,
      "2:2 no statement stands below it",
    ],
    ["-- neon-migrate: unparsed\n;", "1:26 no statement stands below it"],
    ["-- neon-migrate: unparsed\nfoo bar; baz", "2:8 more stands behind the statement"],
  ])("that cannot be followed is refused: %j", (sql, message) => {
    const refusal = problem(sql);

    expect(refusal).toContain(message);
  });
});

test("a directive that cannot be followed fails the build with its place", async () => {
  const { code, message, facts } = await refusalOf(
    "select 1;\n\n-- neon-migrate: allow none\nselect 2;",
  );

  expect({ code, message, facts }).toEqual({
    code: "DIRECTIVE_INVALID",
    message: expect.stringMatching(
      /0000_notes\.sql:3:1: this directive cannot be followed: there is no rule "none"/,
    ),
    facts: {
      migration: "0000_notes",
      statement: { index: 2, line: 3, column: 1, excerpt: "-- neon-migrate: allow none" },
      detail: "-- neon-migrate: allow none\n^",
    },
  });
});

async function refusalOf(sql: string): Promise<MigratorError> {
  const folder = mkdtempSync(join(tmpdir(), "directives-"));
  try {
    cpSync("tests/fixtures/folders/directives", folder, { recursive: true });
    writeFileSync(join(folder, "0000_notes.sql"), sql);
    const thrown: unknown = await compileBundle(folder).catch((error: unknown) => error);
    if (thrown instanceof MigratorError) return thrown;
    throw new Error("The folder was not refused", { cause: thrown });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("unparsed", () => {
  test("lets a statement through that the parser cannot read, to the end of its chunk", () => {
    const sql = `select 1;\n-- neon-migrate: unparsed\n-- neon-migrate: lock-timeout 5s\nCREATE NOVELTY "é" (a; begin atomic b; end);\n-- end\n${STATEMENT_BREAKPOINT}\nselect 2`;
    const cut = cutStatements(sql);

    const statements = cut.ok ? cut.statements : [];
    const texts = statements.map(({ start, end, line, kind, mode }) => [
      line,
      kind,
      mode,
      sql.slice(start, end),
    ]);
    expect(texts).toEqual([
      [1, "SelectStmt", "transactional", "select 1"],
      [4, "Unparsed", "alone", 'CREATE NOVELTY "é" (a; begin atomic b; end)'],
      [7, "SelectStmt", "transactional", "select 2"],
    ]);
    expect(statements[1]).toMatchObject({
      effect: { kind: "unknown" },
      directives: { lockTimeoutMs: 5_000 },
    });
  });

  test("does not excuse the statement above it", () => {
    const cut = cutStatements("selec 1;\n-- neon-migrate: unparsed\ncreate novelty;");

    expect(cut).toMatchObject({ ok: false, code: "SQL_INVALID", problem: { line: 1, column: 1 } });
  });
});

describe("lockTimeoutOf", () => {
  test("takes the statement's word before the file's, and that before the request's", () => {
    const plain = makeMigration("0000_a", 1, "select 1");
    const both = makeMigration(
      "0001_b",
      2,
      "-- neon-migrate: lock-timeout 5s\n\nselect 1",
      "-- neon-migrate: lock-timeout 6s\nselect 2",
    );

    expect([
      lockTimeoutOf(plain, 0, 2_000),
      lockTimeoutOf(both, 0, 2_000),
      lockTimeoutOf(both, 1, 2_000),
    ]).toEqual([2_000, 5_000, 6_000]);
  });
});

test("no-transaction makes each statement a step, until a BEGIN", () => {
  const migration = makeMigration(
    "0000_a",
    1,
    "-- neon-migrate: no-transaction\nselect 1",
    "select 2",
    "begin",
    "select 3",
    "select 4",
    "commit",
    "select 5",
  );
  const { steps } = cutSteps([migration], NOTHING_KNOWN);

  expect(steps.map((step) => slicesOf(step).flatMap(({ statements }) => statements))).toEqual([
    [0],
    [1],
    [3, 4],
    [6],
  ]);
});

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { STATEMENT_BREAKPOINT } from "../../../lib/bundle/bundle.ts";
import { loadParser } from "../../../lib/compile/sql/parser.ts";
import { type Cut, cutStatements } from "../../../lib/compile/statements.ts";
import { tries } from "../../setup/tries.ts";

beforeAll(loadParser);

/** Each statement as [chunk, line, column, text], or the problem. */
function cut(sql: string): unknown {
  const result: Cut = cutStatements(sql);
  if (!result.ok) return result.problem;
  return result.statements.map(({ chunk, line, column, start, end }) => [
    chunk,
    line,
    column,
    sql.slice(start, end),
  ]);
}

describe("cutStatements", () => {
  test("finds no statement in blanks, comments and semicolons", () => {
    const texts = ["", " \n", "-- é", "/* ☃; */ ;;\n;", `--> statement-breakpoint\n-- 😀`];

    const found = texts.map(cut);

    expect(found).toEqual([[], [], [], [], []]);
  });

  test("counts in UTF-16 units behind characters of one to four bytes", () => {
    const sql = "/* é☃😀 */ select 'é☃😀' as \"ü\"; -- 😀\n/* ☃ */ select $é$😀;$é$ ;select 2";

    const found = cut(sql);

    expect(found).toEqual([
      [0, 1, 12, "select 'é☃😀' as \"ü\""],
      [0, 2, 9, "select $é$😀;$é$"],
      [0, 2, 27, "select 2"],
    ]);
  });

  test("leaves comments before, behind and between statements out, and those inside in", () => {
    const sql = "--a;\nselect /*b;*/ 1 --c;\n;/*d*/select '--' /*e*/ -- f\n";

    const found = cut(sql);

    expect(found).toEqual([
      [0, 2, 1, "select /*b;*/ 1"],
      [0, 3, 7, "select '--'"],
    ]);
  });

  test("takes a literal that a line comment interrupts, as Postgres does, and no other", () => {
    const found = cut("/*é*/ select 'a' -- é😀\n 'b';\nselect 2");
    const problem = cut("select 'a' /* c */\n 'b'");

    expect(found).toEqual([
      [0, 1, 7, "select 'a' -- é😀\n 'b'"],
      [0, 3, 1, "select 2"],
    ]);
    expect(problem).toMatchObject({ line: 2, column: 2 });
  });

  test("keeps a no-break space at the end, which is part of the name to Postgres", () => {
    const sql = "select 1 as a\u00a0\v\f ;";

    const found = cut(sql);

    expect(found).toEqual([[0, 1, 1, "select 1 as a\u00a0"]]);
  });

  test("takes control characters inside literals and comments", () => {
    const sql = "select '\u0001;\u001b' -- \u0008\n; select 2 /*\u000e*/";

    const found = cut(sql);

    expect(found).toEqual([
      [0, 1, 1, "select '\u0001;\u001b'"],
      [0, 2, 3, "select 2"],
    ]);
  });

  test("keeps the semicolons of function bodies, rules and schemas inside their statement", () => {
    const statements = [
      "create function f() returns int language sql begin atomic select 1; select 2; end",
      "create rule r as on insert to t do also (insert into a values (1); insert into b values (2))",
      "do $a$ begin execute $b$ select ';' $b$; end $a$",
    ];

    const found = cut(`${statements.join(";\n")};`);

    expect(found).toEqual(statements.map((text, index) => [0, index + 1, 1, text]));
  });

  test("splits at a breakpoint wherever it stands, as Drizzle does", () => {
    const sql = `select 1${STATEMENT_BREAKPOINT}select 2;${STATEMENT_BREAKPOINT}${STATEMENT_BREAKPOINT}\r\nselect 3;\r\n`;

    const found = cut(sql);

    expect(found).toEqual([
      [0, 1, 1, "select 1"],
      [1, 1, 33, "select 2"],
      [3, 2, 1, "select 3"],
    ]);
  });

  test("names the parse node of each statement", () => {
    const result = cutStatements("begin; create table t (); commit;");

    expect(result.ok && result.statements.map(({ kind }) => kind)).toEqual([
      "TransactionStmt",
      "CreateStmt",
      "TransactionStmt",
    ]);
  });

  test("cuts a chunk longer than a piece as it cuts a short one", () => {
    const text = "😀;".repeat(100);
    const rows = Array.from(
      { length: 1_000 },
      (_, row) => `insert into t values (${row}, '${text}')`,
    );
    const body = `do $$ begin perform ';'; end ${";".repeat(400_000)} $$`;
    const commented = `select 1 -- ${";".repeat(400_000)}\n+ 2`;
    const long = rows.concat(body, rows, "select 1", commented);

    const found = cut(long.join(";\n"));

    expect(found).toEqual(long.map((text, index) => [0, index + 1, 1, text]));
  });
});

describe("cutStatements reports", () => {
  test("Postgres' message, the place of the error and the statement that holds it", () => {
    const sql = `select '😀;';\n${STATEMENT_BREAKPOINT}\nselect 1; -- é☃\n\tselec '☃' x y; select 2`;

    const problem = cut(sql);

    expect(problem).toEqual({
      message: 'syntax error at or near "selec"',
      line: 4,
      column: 2,
      index: 3,
      text: "-- é☃\n\tselec '☃' x y",
      torn: false,
    });
  });

  test("the place in UTF-16 units, which Postgres gives in characters", () => {
    const problem = cut("select 'é☃😀' fromm x y z");

    expect(problem).toMatchObject({ line: 1, column: 21, message: 'syntax error at or near "x"' });
  });

  test.each([
    ["an unterminated literal", "select 1;\nselect 'abc\n;", "unterminated quoted string", 2, 8],
    ["an unterminated name", 'select "abc', "unterminated quoted identifier", 1, 8],
    ["an unterminated comment", "select 1; /* abc", "unterminated /* comment", 1, 11],
    ["an unterminated dollar quote", "do $x$ abc $y$", "unterminated dollar-quoted string", 1, 4],
    ["a statement that ends too early", "select (1;", "syntax error", 1, 10],
    ["a text that ends too early", "select (1", "syntax error at end of input", 1, 10],
    ["a bad escape", "select U&'\\zz'", "invalid Unicode escape", 1, 11],
    ["rows of COPY", "copy t from stdin;\n1\t2\n\\.", 'syntax error at or near "1"', 2, 1],
    ["a psql command", "\\restrict x", 'syntax error at or near "\\"', 1, 1],
  ])("%s", (_name, sql, message, line, column) => {
    const problem = cut(sql);

    expect(problem).toMatchObject({
      message: expect.stringContaining(message),
      line,
      column,
      torn: false,
    });
  });

  test.each([
    ["a literal", `select 'a ${STATEMENT_BREAKPOINT} b';`],
    ["a dollar quote", `do $$ begin\n${STATEMENT_BREAKPOINT}\nend $$;`],
    ["a block comment", `/* a\n${STATEMENT_BREAKPOINT}\n b */ select 1;`],
    ["a line comment", `select 1; -- a ${STATEMENT_BREAKPOINT} b`],
    ["a statement", `create table t (\n${STATEMENT_BREAKPOINT}\n);`],
  ])("a breakpoint inside %s as torn", (_name, sql) => {
    const problem = cut(sql);

    expect(problem).toMatchObject({ torn: true });
  });

  test("a message of bounded length about an unterminated literal of any length", () => {
    const result = cutStatements(`select '${"x".repeat(100_000)}`);

    expect(result.ok ? "" : result.problem.message).toHaveLength(201);
  });

  test("the statement of an error behind a semicolon that is part of a comment", () => {
    const problem = cut("select 1; select 2 -- ;\n frm x y; select 3");

    expect(problem).toMatchObject({
      line: 2,
      column: 6,
      index: 2,
      text: "select 2 -- ;\n frm x y",
    });
  });

  test("an error far behind the first piece with its statement number", () => {
    const row = `insert into t values (1, '${"é".repeat(300)}');\n`;

    const problem = cut(`${row.repeat(1_500)}selec 1;`);

    expect(problem).toMatchObject({ line: 1_501, column: 1, index: 1_501, text: "selec 1" });
  });
});

describe("cutStatements of a random mix", () => {
  const STATEMENTS = [
    "select 1",
    "select 'a;''b', E'\\';', \"c;\"\"d\", U&'\\2603'",
    "INSERT INTO \"tëst\" VALUES ('é☃😀;', $$;$$)",
    "create function f() returns trigger language plpgsql as $body$\nbegin\n -- it's; \n return new;\nend;\n$body$",
    "create function g() returns int begin atomic select 1; select 2; end",
    "do $😀$ begin raise notice '%', $$;$$; end $😀$",
    "alter table only t add constraint c check (a /* ; */ > 0), alter b set default '--'",
    "create policy p on t for all to public using (a = current_setting('x.y', true)::int)",
    "select 'one' -- ;\n 'line'",
    'update t set a = a -1 where b @> \'{"k": "/*"}\'',
    "COMMIT",
  ];
  const FILLERS = ["", " ", "\n", "\r\n", "\t-- é; 'x\n", "/* ☃ /* 😀; */ $$ */", ";", "\f\n--\n"];
  const statement = fc.constantFrom(...STATEMENTS);
  const filler = fc.array(fc.constantFrom(...FILLERS), { maxLength: 4 }).map((all) => all.join(""));
  const separator = fc.constantFrom(";", `;${STATEMENT_BREAKPOINT}\n`, `\n${STATEMENT_BREAKPOINT}`);
  const part = fc.record({ before: filler, statement, behind: filler, separator });

  test("yields every statement exactly, with its chunk, line and column", () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        let sql = "";
        const expected: unknown[] = [];
        for (const { before, statement: text, behind, separator: end } of parts) {
          sql += before;
          const lines = sql.split("\n");
          const chunk = sql.split(STATEMENT_BREAKPOINT).length - 1;
          expected.push([chunk, lines.length, (lines.at(-1)?.length ?? 0) + 1, text]);
          sql += `${text}\n${behind}${end}`;
        }

        expect(cut(sql)).toEqual(expected);
      }),
      { numRuns: tries(75, 500) },
    );
  });
});

/** A chain for which the parser's tree is as deep as the chain is long. */
const chains = (length: number): readonly string[] => [
  `select 1${"+1".repeat(length)}`,
  `select 'a'${"||'a'".repeat(length)}`,
  `select 1${"::int".repeat(length)}`,
  `select 1${" union all select 1".repeat(length)}`,
  `select 1 from t${" cross join t".repeat(length)}`,
];

describe("cutStatements with a text of any size", () => {
  test("names the statement that nests deeper than the parser can follow", () => {
    for (const chain of chains(20_000)) {
      const result = cutStatements(`select 1;\nselect ';';\n-- a\n${chain};\nselect 2`);

      expect(result).toMatchObject({
        code: "SQL_INVALID",
        problem: { line: 4, column: 1, index: 3, beyond: "depth", torn: false },
      });
    }
  });

  test("reads a chain as long as the parser can follow, and its tables", () => {
    for (const chain of chains(5_000)) {
      const result = cutStatements(`${chain} from u`.replace(/from t(.*) from u$/, "from t$1, u"));

      expect(result).toMatchObject({
        statements: [{ touches: expect.arrayContaining([expect.objectContaining({ name: "u" })]) }],
      });
    }
  });

  test("still reads other texts after the parser has come to the end of its stack", () => {
    const [deep = ""] = chains(20_000);
    for (let time = 0; time < 10; time += 1) cutStatements(deep);

    expect(cut("select 1;")).toEqual([[0, 1, 1, "select 1"]]);
  });

  test("lets a chain through that a directive says the server can read", () => {
    const [deep = ""] = chains(20_000);

    const result = cutStatements(`-- neon-migrate: unparsed\n${deep};`);

    expect(result).toMatchObject({ statements: [{ kind: "Unparsed", line: 2 }] });
  });

  // PostgreSQL's scanner takes time with the square of the depth: minutes for each of these texts.
  test("passes comments that nest to any depth in one reading", () => {
    const depth = 1_000_000;
    const nested = `${"/*".repeat(depth)}${"*/".repeat(depth)}`;

    expect(cut(`${nested} select 1 /*${nested}*/ + 2;`)).toHaveLength(1);
    expect(cut(`select '${nested}', e'\\'/*', "/*", $a$/*$a$; -- /*\nselect 2`)).toHaveLength(2);
    expect(cut(`${nested} ${"/*".repeat(depth)}`)).toMatchObject({
      message: expect.stringContaining("unterminated /* comment"),
    });
  });

  test("names the statement with more values than the parser's memory holds", () => {
    const result = cutStatements(`select 1;\ninsert into t values (1)${",(1)".repeat(1_100_000)};`);

    expect(result).toMatchObject({ problem: { line: 2, index: 2, beyond: "size" } });
  });

  test("reads a literal of 30 MB, and the statement behind it", () => {
    const long = "a, /* -- ; ".repeat(3_000_000);

    expect(cut(`insert into t values ('${long}'); select 2`)).toHaveLength(2);
  });
});

import { beforeAll, describe, expect, test } from "vitest";
import type { Touched } from "../../../../lib/bundle/bundle.ts";
import { loadParser } from "../../../../lib/compile/sql/parser.ts";
import { cutStatements } from "../../../../lib/compile/statements.ts";
import { LOCK_SECTIONS, type LockSection } from "../../../setup/lock-samples.ts";

beforeAll(loadParser);

function touches(sql: string): readonly Touched[] {
  const cut = cutStatements(sql);
  if (!cut.ok) throw new Error(cut.problem.message);
  return cut.statements[0]?.touches ?? [];
}

/** Each as `lock kind schema.name`. */
function shown(sql: string): readonly string[] {
  return touches(sql).map(({ kind, schema, name, lock }) =>
    [lock ?? "-", kind, schema === null ? name : `${schema}.${name}`].join(" "),
  );
}

describe("docs/reference/locks.md", () => {
  const KEEPS_OUT = [
    ["`ACCESS SHARE`", "only ACCESS EXCLUSIVE"],
    ["`ROW SHARE`", "EXCLUSIVE and stronger"],
    ["`ROW EXCLUSIVE`", "SHARE and stronger"],
    [
      "`SHARE UPDATE EXCLUSIVE`",
      "itself and stronger: other DDL and VACUUM, neither reads nor writes",
    ],
    ["`SHARE`", "writes"],
    ["`SHARE ROW EXCLUSIVE`", "writes, and itself"],
    ["`EXCLUSIVE`", "everything but plain reads"],
    ["`ACCESS EXCLUSIVE`", "everything, reads too"],
  ];

  const HEAD = `# Locks

Which table locks the statements of a migration take, and on what. A bundle carries this for each of its statements
(\`touches\` in \`lib/bundle/bundle.ts\`), decided from the parse tree when it is compiled. Every row is run against a real server by
\`tests/integration/compile/sql/touches.test.ts\`, which compares it with \`pg_locks\`; this page is written by \`tests/unit/compile/sql/touches.test.ts\`
(\`npx vitest run --project unit --update tests/unit/compile/sql/touches.test.ts\`). PostgreSQL 18; what PostgreSQL locks, from the weakest to the strongest:

${table([["lock", "keeps out"], ...KEEPS_OUT])}
Where one ALTER TABLE has several subcommands, the strongest lock counts. What the text of a statement does not show is not
in the table: without ONLY, the same lock is taken on every partition and every inheriting table; a foreign key's check takes
ROW SHARE on the table that it refers to; a function, a trigger or a DO block locks what it uses; a statement that the parser
cannot read ([\`unparsed\`](directives.md#unparsed)) locks nobody knows what. Some relations are locked without being named;
there the table says how the name leads to them.
`;

  test("is what the code says", async () => {
    const page = [HEAD, ...LOCK_SECTIONS.map(renderSection)].join("\n");

    await expect(page).toMatchFileSnapshot("../../../../docs/reference/locks.md");
  });

  /** What the kinds that lead to unnamed relations are called. `x` is the name. */
  const PHRASES: Readonly<Record<string, (name: string) => string>> = {
    "table-of-index": (name) => `the table of \`${name}\``,
    "tables-of-constraint": (name) => `the tables on both sides of \`${name}\``,
    "tables-linked-by-foreign-key": (name) => `tables that foreign keys link with \`${name}\``,
    "tables-referencing": (name) => `tables whose foreign keys refer to \`${name}\``,
    "parents-of-table": (name) => `the parent of \`${name}\`, and its default partition`,
    "default-partition": (name) => `the default partition of \`${name}\``,
    "tables-of-schema": (name) => `everything in \`${name}\``,
    "table-of-statistics": (name) => `the table of \`${name}\``,
    "tables-read-by-view": (name) => `what \`${name}\` reads`,
    "tables-with-type": (name) => `tables with a column of \`${name}\``,
    "views-reading": (name) => `views of \`${name}\``,
  };

  function renderSection({ title, source, samples }: LockSection): string {
    const rows = samples.map(([name, sql]) => [name, `\`${sql}\``, locksOf(sql)]);
    const head = ["statement", "sample", "locks"];
    return `## ${title}\n\nSource: <${source}>\n\n${table([head, ...rows])}`;
  }

  /** Padded as the formatter wants it. */
  function table([head = [], ...rows]: readonly (readonly string[])[]): string {
    const widths = head.map((_title, column) =>
      Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
    );
    const line = (cells: readonly string[]): string =>
      `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
    return [head, widths.map((width) => "-".repeat(width)), ...rows].map(line).join("");
  }

  function locksOf(sql: string): string {
    const locks = touches(sql).flatMap(({ kind, schema, name, lock }) => {
      if (lock === undefined) return [];
      const full = schema === null ? name : `${schema}.${name}`;
      return [`${lock} on ${PHRASES[kind]?.(full) ?? `\`${full}\``}`];
    });
    return locks.length === 0 ? "none" : locks.join("; ");
  }
});

describe("what a statement touches", () => {
  test.each([
    ["alter type mood rename value 'a' to 'b'", ["- type mood"]],
    ["drop function if exists app.f(int), g", ["- function app.f", "- function g"]],
    ["drop type a.b", ["- type a.b"]],
    ["create extension postgis", ["- extension postgis"]],
    ['create table "App"."T" ()', ["- table App.T"]],
    ["create table t (p int references t)", ["- table t"]],
    ["create index on a.t (x)", ["SHARE table a.t"]],
    ["create function f() returns int language sql as 'select 1'", ["- function f"]],
    ["grant select on a.t, b to public", ["ACCESS SHARE table a.t", "ACCESS SHARE table b"]],
    ["alter table t rename column a to b", ["ACCESS EXCLUSIVE table t"]],
    ["comment on policy p on a.t is 'x'", ["- policy p", "ACCESS SHARE table a.t"]],
    ["set lock_timeout = 1", []],
    ["do $$ begin delete from t; end $$", []],
  ])("%s", (sql, expected) => {
    expect(shown(sql)).toEqual(expected);
  });

  test.each([
    [
      "with a as (select * from a), b as (select * from a) select * from b",
      ["ACCESS SHARE table a"],
    ],
    ["with recursive a as (select * from a) select * from a", []],
    ["with a as (select 1) select * from x.a, (select * from a) s", ["ACCESS SHARE table x.a"]],
    ["select (with a as (select 1) select * from a) from a", ["ACCESS SHARE table a"]],
    [
      "select * from a union all select * from b for update",
      ["ACCESS SHARE table a", "ACCESS SHARE table b"],
    ],
    [
      "select * from a x join b y on true, c for share of c",
      ["ACCESS SHARE table a", "ACCESS SHARE table b", "ROW SHARE table c"],
    ],
    ["select * from (select * from a) s for update", ["ROW SHARE table a"]],
    [
      "insert into a select * from a where exists (select from b)",
      ["ROW EXCLUSIVE table a", "ACCESS SHARE table b"],
    ],
    [
      "with a as (insert into b select * from c returning 1) update d set x = 1 from a",
      ["ROW EXCLUSIVE table d", "ROW EXCLUSIVE table b", "ACCESS SHARE table c"],
    ],
  ])("hides what a WITH names: %s", (sql, expected) => {
    expect(shown(sql)).toEqual(expected);
  });

  test("has the strongest lock of each relation", () => {
    expect(touches("alter table a add foreign key (x) references b")).toContainEqual({
      ...{ kind: "table", schema: null, name: "a", lock: "SHARE ROW EXCLUSIVE" },
    });
    expect(touches("create table n partition of p default")).toContainEqual({
      ...{ kind: "table", schema: null, name: "p", lock: "ACCESS EXCLUSIVE" },
    });
  });
});

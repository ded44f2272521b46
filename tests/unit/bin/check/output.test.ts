import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { annotations } from "../../../../bin/check/annotations.ts";
import { renderFindings } from "../../../../bin/check/render.ts";
import { checkBundle, type FailOn } from "../../../../bin/check/result.ts";
import { toSarif } from "../../../../bin/check/sarif.ts";
import { findingLines } from "../../../../bin/render/findings.ts";
import { checkAll } from "../../../setup/check-all.ts";
import { makeBundle, makeMigration } from "../../../setup/make-migration.ts";

const migrations = [
  makeMigration("0000_init", 1, 'create table "t" ("id" integer);'),
  makeMigration(
    "0001_next",
    2,
    'select 1;\n\tcreate index "t_id" on "t" ("id");',
    'alter table "t" rename to "ü%,:";',
  ),
  makeMigration("0002_notes", 3, 'create table "u" ("at" timestamp);\ncreate index on "t" ("id");'),
];
const findings = checkAll(migrations);
const bundle = makeBundle(
  ...migrations.map((each, index) => ({ ...each, findings: findings[index] ?? [] })),
);

function check(since: readonly string[] | null = null, failOn: FailOn = "error") {
  return checkBundle({ bundle, folder: "drizzle", since, failOn });
}

const rulesOf = (result: ReturnType<typeof check>) => result.findings.map(({ rule }) => rule);

describe("checkBundle", () => {
  test("takes every file for a deployment of its own", () => {
    expect(rulesOf(check())).toEqual([
      "index-not-concurrent",
      "table-renamed",
      "timestamp-without-time-zone",
      "index-not-concurrent",
    ]);
  });

  test("sees the tables of all new migrations as new where it is told which these are", () => {
    const tags = bundle.migrations.map(({ tag }) => tag);

    expect(rulesOf(check(tags))).toEqual(["timestamp-without-time-zone", "index-not-concurrent"]);
    expect(check(["0001_next"])).toMatchObject({
      migrations: ["0001_next"],
      counts: { error: 2, warning: 0, note: 0 },
    });
  });

  test("fails by what is asked for", () => {
    const failures = (["error", "warning", "never"] as const).map(
      (failOn) => check(null, failOn).failed,
    );

    expect(failures).toEqual([true, true, false]);
    expect(check([], "warning").failed).toBe(false);
  });
});

describe("renderFindings", () => {
  test("shows the line, a caret under the statement, and what to write instead", () => {
    const text = renderFindings(check(["0001_next"]), bundle, pc.createColors(false));

    expect(text).toBe(`error[index-not-concurrent] "t" takes no writes while this index is built.
 --> drizzle/0001_next.sql:2:2
2 | \tcreate index "t_id" on "t" ("id");
  | \t^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = instead:
      create index CONCURRENTLY "t_id" on "t" ("id");

error[table-renamed] Code that still uses "t" fails from the moment on that it is called "ü%,:".
 --> drizzle/0001_next.sql:4:1
4 | alter table "t" rename to "ü%,:";
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = instead:
      -- Let both names work until no deployed code uses the old one, and rename then:
      CREATE VIEW "ü%,:" AS SELECT * FROM "t";

2 errors in 1 migration.`);
  });

  test("says so where there is nothing", () => {
    expect(renderFindings(check([]), bundle, pc.createColors(false))).toBe(
      "Nothing found in 0 migrations.",
    );
  });
});

describe("findingLines", () => {
  test("has a line for what is more than a note, with what the database says, and names the rules of the notes", () => {
    const [index, , note] = check().findings;
    if (index === undefined || note === undefined) throw new Error("there are four findings");
    const options = { folder: "sql", isOpen: true, colors: pc.createColors(false) };
    const graded = { ...index, evidence: "the table has 4.1 GB" };

    expect(findingLines([graded, note], options)).toEqual([
      'error[index-not-concurrent] 0001_next:2:2 "t" takes no writes while this index is built. Here the table has 4.1 GB.',
      expect.stringMatching(
        /^1 note: [a-z-]+\. neon-migrate check --folder sql shows where, and what to write instead\.$/,
      ),
    ]);
  });
});

describe("annotations", () => {
  test("escapes what GitHub's commands are made of, with paths from the workspace", () => {
    const [, renamed] = annotations(check(), process.cwd());

    expect(renamed).toBe(
      `::error file=drizzle/0001_next.sql,line=4,col=1,title=table-renamed::Code that still uses "t" fails from the moment on that it is called "ü%25,:". %0A%0A-- Let both names work until no deployed code uses the old one, and rename then:%0ACREATE VIEW "ü%25,:" AS SELECT * FROM "t";`,
    );
  });
});

describe("toSarif", () => {
  test("has what SARIF 2.1.0 requires, and the region of each statement", () => {
    expect(toSarif(check(["0001_next"]), bundle)).toMatchObject({
      version: "2.1.0",
      runs: [
        {
          tool: { driver: { name: "neon-migrate", rules: expect.any(Array) } },
          results: [
            {
              ruleId: "index-not-concurrent",
              ruleIndex: 0,
              level: "error",
              message: { text: expect.stringContaining("CONCURRENTLY") },
              locations: [
                {
                  physicalLocation: {
                    artifactLocation: { uri: "drizzle/0001_next.sql" },
                    region: { startLine: 2, startColumn: 2, endLine: 2, endColumn: 35 },
                  },
                },
              ],
            },
            { ruleId: "table-renamed" },
          ],
        },
      ],
    });
  });
});

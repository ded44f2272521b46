import pc from "picocolors";
import { describe, expect, test } from "vitest";
import type { RenderOptions } from "../../../../bin/render/options.ts";
import { renderReport } from "../../../../bin/render/report.ts";
import { MigratorError } from "../../../../lib/errors.ts";
import {
  buildReport,
  describePending,
  failedReport,
  type RunFacts,
} from "../../../../lib/report/report.ts";
import { makeBundle, makeMigration } from "../../../setup/make-migration.ts";

const plain: RenderOptions = {
  action: "status",
  folder: "drizzle",
  bundle: null,
  colors: pc.createColors(false),
};

const AT = Date.UTC(2026, 10, 28, 15, 5, 59);
const LEDGER = { schema: "drizzle", table: "__drizzle_migrations", format: "0.x" } as const;
const UNKNOWN = { hash: "c".repeat(64), when: AT, name: null };

function lines(facts: RunFacts, options: Partial<RenderOptions> = {}): readonly string[] {
  return renderReport(buildReport("test", "planned", facts), { ...plain, ...options }).split("\n");
}

function applied(tag: string, appliedAt: string | null) {
  return { tag, hash: "a".repeat(64), when: AT, statements: 1, durationMs: null, appliedAt };
}

describe("status", () => {
  test("has a line for each migration and each strange row, by their times, with what is wrong with it", () => {
    const facts: RunFacts = {
      ledger: LEDGER,
      applied: [applied("0000_a", null), { ...applied("0001_b", null), when: AT + 60_000 }],
      pending: [
        describePending(makeMigration("0002_late", AT - 60_000, "select 1", "select 2"), [], 1),
        describePending(makeMigration("0003_new", AT + 120_000, "select 1"), [], 0),
      ],
      drift: {
        modified: [{ tag: "0001_b", ledgerHash: "a", bundleHash: "b" }],
        unknown: [
          { ...UNKNOWN, when: AT + 90_000, appliedAt: null },
          { hash: "d".repeat(64), when: null, name: "by hand", appliedAt: null },
        ],
        outOfOrder: [{ tag: "0002_late", hash: "", when: AT - 60_000 }],
      },
    };

    expect(lines(facts)).toEqual([
      "   migration           made (UTC)        state",
      "<  0002_late           2026-11-28 15:04  HALF APPLIED: 1 of 2 statements done, goes on at statement 2, out of order",
      "✓  0000_a              2026-11-28 15:05  applied",
      "~  0001_b              2026-11-28 15:06  applied, modified since",
      "?  hash cccccccccccc…  2026-11-28 15:07  ahead: in no file",
      "·  0003_new            2026-11-28 15:07  pending",
      "?  by hand             –                 ahead: in no file",
      "A ledger of Drizzle 0.x does not keep when a migration was applied.",
      "2 migrations pending. neon-migrate plan shows what up would do.",
    ]);
  });

  test("fits a narrow terminal: the dates go first, and then the ends of long tags", () => {
    const facts = {
      applied: [applied("20260101120000_a_name_that_is_long", "2026-11-28T16:00:00Z")],
    };

    expect(lines(facts, { width: 60 })[1]).toBe(
      "✓  20260101120000_a_name_that_is…  2026-11-28 16:00  applied",
    );
    expect(lines(facts, { width: 30 })[1]).toBe("✓  20260101120000_a_…  applied");
  });

  test.each([
    [
      { application: "neon-migrate/a", role: "shop", since: "2026-11-28 15:05:02 UTC" },
      "▸ A run is under way since 2026-11-28 15:05:02 UTC: neon-migrate/a (pid 7, role shop), active: alter table t",
    ],
    [
      { application: null, role: null, since: null },
      "▸ A run is under way: a session without a name (pid 7), active: alter table t",
    ],
  ])("says which run is under way, as far as the server shows it", (seen, line) => {
    const running = { pid: 7, state: "active", statement: "alter\n  table t", ...seen };

    expect(lines({ running })).toContain(line);
  });
});

describe("up and plan", () => {
  test("show the rows that the folder does not know, by the time at which they were made", () => {
    const unknown = [UNKNOWN, { ...UNKNOWN, name: "20260101_d", when: 9e15 }];
    const drift = { modified: [], unknown, outOfOrder: [] };

    expect(lines({ drift }, { action: "up" }).slice(0, -1)).toEqual([
      "? hash cccccccccccc…, made 2026-11-28 15:05 UTC  is in the ledger, not in the folder",
      "? 20260101_d, made – UTC  is in the ledger, not in the folder",
    ]);
  });

  test("say without a bundle where transactions end, and which statement forces it", () => {
    const facts: RunFacts = {
      cuts: [
        { migration: "0001_a", statement: 2, line: 7, reason: "not-transactional" },
        { migration: "0002_b", statement: 1, line: 1, reason: "new-enum-value" },
      ],
    };

    expect(lines(facts, { action: "plan" }).slice(0, -1)).toEqual([
      "── commit before 0001_a:7: statement 2 cannot run in a transaction",
      "── commit before 0002_b:1: statement 1 uses an enum value that is new, which PostgreSQL allows only behind a commit",
    ]);
  });

  test("speak of flags and the folder", () => {
    const warnings = [
      { code: "AHEAD", message: 'In the bundle of this bundle: send "ahead": "warn".' },
    ];
    const report = buildReport("test", "up-to-date", { warnings });

    expect(renderReport(report, plain)).toContain("of this folder: pass --ahead warn.");
    expect(renderReport(report, { ...plain, folder: null })).toContain("this bundle: pass --ahead");
  });

  test.each([
    [1, "HALF APPLIED: 1 of 3 statements done, goes on at statement 2 (line 3)"],
    [2, "HALF APPLIED: 2 of 3 statements done, goes on at statement 3 (line 5)"],
    [3, "HALF APPLIED: 3 of 3 statements done, only its ledger row is missing"],
  ])("say where a half-applied migration goes on: %i", (done, words) => {
    const half = makeMigration("0000_half", 1_000, "select 1", "select 2", "select 3");
    const pending = [describePending(half, ["half-applied"], done)];
    const steps = [{ kind: "alone", slices: [{ migration: half.tag, statements: [3] }] }] as const;
    const options = { action: "plan", bundle: makeBundle(half) } as const;

    expect(lines({ pending, steps }, options).join("\n")).toContain(words);
    expect(lines({ pending }).join("\n")).toContain(words.replace(/ \(line \d\)/, ""));
  });

  test.each([
    [
      "OUT_OF_ORDER",
      "0000_a",
      [" 0000_a  1 statement     refused", "– 0001_b  1 statement     would not run"],
    ],
    ["NOT_BASELINED", undefined, ["– 0000_a  1 statement     would not run", "– 0001_b"]],
    ["AHEAD", undefined, ["– 0000_a  1 statement     would not run", "– 0001_b"]],
  ] as const)("do not show a refused plan as one that would run: %s", (code, migration, parts) => {
    const both = [
      makeMigration("0000_a", 1_000, "select 1"),
      makeMigration("0001_b", 2_000, "select 2"),
    ];
    const facts: RunFacts = {
      pending: both.map((each) => describePending(each, [], 0)),
      steps: [
        {
          kind: "transaction",
          slices: both.map(({ tag }) => ({ migration: tag, statements: [1] })),
        },
      ],
    };
    const refused = failedReport(
      "test",
      new MigratorError(code, "No.", migration === undefined ? {} : { migration }),
      facts,
    );

    const text = renderReport(refused, { ...plain, action: "plan", bundle: makeBundle(...both) });

    for (const part of parts) expect(text).toContain(part);
    expect(text).not.toContain("·");
    expect(text).not.toContain("select 1");
  });

  test("name the rules of the notes, and the command that shows them", () => {
    const note = {
      ...({
        rule: "index-not-concurrent",
        severity: "note",
        migration: "0000_a",
        statement: 1,
      } as const),
      ...{ line: 1, column: 1, message: "", rewrite: "", evidence: null },
    };

    expect(lines({ findings: [note, note] }, { action: "plan", folder: "sql" })).toContain(
      "2 notes: index-not-concurrent (2). neon-migrate check --folder sql shows where, and what to write instead.",
    );
  });

  test.each(["status", "plan", "up"] as const)("%s tells times only when asked to", (action) => {
    const database = { host: "h", name: "n", serverVersion: "18", role: "r" };
    const told = (verbose: boolean) =>
      lines({ database, roundTrips: 2 }, { action, verbose }).join("\n").includes("2 round trips");

    expect([told(false), told(true)]).toEqual([false, true]);
  });
});

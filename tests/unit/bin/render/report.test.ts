import pc from "picocolors";
import { describe, expect, test } from "vitest";
import type { RenderOptions } from "../../../../bin/render/options.ts";
import { renderReport } from "../../../../bin/render/report.ts";
import { buildReport, type Report } from "../../../../lib/report/report.ts";

const plain: RenderOptions = {
  action: "status",
  folder: "drizzle",
  bundle: null,
  colors: pc.createColors(false),
};

const TIMINGS = { totalMs: 5, connectMs: 3, lockMs: 0, planMs: 0, executeMs: 0 };

function lines(drift: Partial<Report["drift"]>): readonly string[] {
  const none = { modified: [], unknown: [], outOfOrder: [] };
  const report = buildReport("test", "up-to-date", {
    drift: { ...none, ...drift },
    timings: TIMINGS,
  });
  return renderReport(report, plain).split("\n").slice(0, -1);
}

describe("renderReport", () => {
  test("shows both hashes of a changed file, shortened", () => {
    const modified = [{ tag: "0000_a", ledgerHash: "a".repeat(64), bundleHash: "b".repeat(64) }];

    expect(lines({ modified })).toEqual([
      "~ 0000_a  was changed after it was applied (hash aaaaaaaaaaaa… in the ledger, bbbbbbbbbbbb… in the folder)",
    ]);
  });

  test("shows the rows that the folder does not know, by name and hash", () => {
    const unknown = [
      { hash: "c".repeat(64), when: Date.UTC(2026, 10, 28, 15, 5), name: null },
      { hash: "e".repeat(64), when: null, name: null },
      { hash: "d".repeat(64), when: 2, name: "20260101_d" },
    ];

    expect(lines({ unknown })).toEqual([
      "? hash cccccccccccc…, made on 2026-11-28 15:05 UTC  is in the ledger, not in the folder",
      "? hash eeeeeeeeeeee…  is in the ledger, not in the folder",
      "? 20260101_d (hash dddddddddddd…)  is in the ledger, not in the folder",
    ]);
  });

  test("shows in a plan where transactions end, and which statement forces it", () => {
    const report = buildReport("test", "planned", {
      cuts: [
        { migration: "0001_a", statement: 2, line: 7, reason: "not-transactional" },
        { migration: "0002_b", statement: 1, line: 1, reason: "new-enum-value" },
      ],
      timings: TIMINGS,
    });

    expect(
      renderReport(report, { ...plain, action: "plan" })
        .split("\n")
        .slice(0, -1),
    ).toEqual([
      "| 0001_a  is cut at statement 2 (line 7): it commits by itself",
      "| 0002_b  is cut at statement 1 (line 1): it uses a value that was added to an enum before it",
    ]);
  });

  test("shows what came late, for as long as it is pending", () => {
    const late = { tag: "0001_late", hash: "e".repeat(64), when: 1 };
    const drift = { modified: [], unknown: [], outOfOrder: [late] };
    const pending = [{ ...late, statements: 1, done: 0, reasons: [] }];
    const words = "< 0001_late  is pending, and older than the newest applied one";

    expect(renderReport(buildReport("test", "planned", { drift, pending }), plain)).toContain(
      words,
    );
    expect(renderReport(buildReport("test", "applied", { drift }), plain)).not.toContain("<");
  });

  test("speaks of flags and the folder", () => {
    const warnings = [
      { code: "AHEAD", message: 'In the bundle of this bundle: send "ahead": "warn".' },
    ];
    const report = buildReport("test", "up-to-date", { warnings });

    expect(renderReport(report, plain)).toContain("of this folder: pass --ahead warn.");
    expect(renderReport(report, { ...plain, folder: null })).toContain("this bundle: pass --ahead");
  });
});

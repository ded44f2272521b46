import { describe, expect, test } from "vitest";
import { buildReport, type Report } from "../../lib/report.ts";
import { fitReport } from "../../lib/report-size.ts";
import { expectReport } from "../setup/report-schema.ts";

function reportOf(migrations: number, noticeLength = 0): Report {
  const pending = Array.from({ length: migrations }, (_, index) => ({
    tag: `${String(index).padStart(5, "0")}_step`,
    hash: "0".repeat(64),
    when: index,
    statements: 1,
    done: 0,
    reasons: [],
  }));
  const notices =
    noticeLength === 0
      ? []
      : [{ severity: "NOTICE", message: "x".repeat(noticeLength), migration: null }];
  return buildReport("size", "planned", { pending, notices });
}

describe("a report for a caller with a limit", () => {
  test("is left as it is while it fits", () => {
    const report = reportOf(300);

    expect(fitReport(report)).toBe(report);
  });

  test("keeps the head of what is pending and says how much there was", () => {
    const report = expectReport(JSON.parse(JSON.stringify(fitReport(reportOf(60_000)))));

    expect(report.pending.map(({ tag }) => tag)).toEqual(
      reportOf(100).pending.map(({ tag }) => tag),
    );
    expect(report.warnings).toEqual([
      { code: "REPORT_SHORTENED", message: expect.stringContaining("60000 pending") },
    ]);
  });

  test("fits also where one notice is too long", () => {
    const report = fitReport(reportOf(1, 7_000_000));

    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(10_000);
  });
});

import { describe, expect, test } from "vitest";
import { MigratorError } from "../../lib/errors.ts";
import { buildReport, failedReport, type Report } from "../../lib/report.ts";
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

  test("keeps the worst findings", () => {
    const findings = Array.from({ length: 500 }, (_each, index) => ({
      rule: "column-dropped" as const,
      severity: index < 400 ? ("note" as const) : ("error" as const),
      migration: "0000_step",
      statement: index + 1,
      line: index + 1,
      column: 1,
      message: "The values are gone.",
      rewrite: "x".repeat(20_000),
      evidence: null,
    }));

    const report = fitReport(buildReport("size", "planned", { findings }));

    expectReport(JSON.parse(JSON.stringify(report)));
    expect(report.findings.map(({ statement }) => statement)).toEqual(
      findings.slice(400).map(({ statement }) => statement),
    );
    expect(report.warnings).toMatchObject([{ message: expect.stringContaining("500 findings") }]);
  });

  test("fits whichever text is too long, and keeps the beginning of each", () => {
    const long = "ß".repeat(3_000_000);
    const unknown = [{ hash: long, when: 1, name: long }];
    const facts = { migration: long, detail: long, hint: long, where: long, sqlstate: "42000" };
    const failed = failedReport("size", new MigratorError("MIGRATION_FAILED", long, facts), {
      drift: { modified: [], unknown, outOfOrder: [] },
      latest: long,
    });

    const report = expectReport(JSON.parse(JSON.stringify(fitReport(failed))));

    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(100_000);
    expect(report.error).toMatchObject({
      code: "MIGRATION_FAILED",
      message: `${long.slice(0, 1_999)}…`,
    });
  });
});

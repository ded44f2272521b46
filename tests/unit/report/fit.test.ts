import { describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { fitReport } from "../../../lib/report/fit.ts";
import { buildReport, failedReport, type Report } from "../../../lib/report/report.ts";
import { rehearsedRun } from "../../setup/html-pages.ts";
import { expectReport } from "../../setup/report-schema.ts";

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

  test("loses the times of single statements first, and nothing else", () => {
    const { pending } = reportOf(200);
    const times = { startedMs: 1, statementMs: Array.from({ length: 2_000 }, () => 12_345) };
    const report = buildReport("size", "planned", {
      pending: pending.map((each) => ({ ...each, ...times })),
    });

    const fitted = expectReport(JSON.parse(JSON.stringify(fitReport(report, 100_000))));

    expect(fitted.pending).toEqual(pending.map((each) => ({ ...each, startedMs: 1 })));
    expect(fitted.warnings).toEqual([
      { code: "REPORT_SHORTENED", message: expect.stringContaining("times of single statements") },
    ]);
  });

  test("keeps the longest standstills and the slowest statements of a rehearsal, and says how many there were", () => {
    const whole = rehearsedRun();
    if (whole.rehearsal == null) expect.fail("There is no rehearsal.");
    const { standstills, statements, rewrites } = whole.rehearsal;
    const many = <Entry extends object>([first]: readonly Entry[], key: string) =>
      Array.from({ length: 20_000 }, (_, index) => ({ ...first, [key]: index }) as Entry);
    const rehearsal = {
      ...whole.rehearsal,
      standstills: many(standstills, "ms").toReversed(),
      statements: many(statements, "ms"),
      rewrites: many(rewrites, "bytes"),
    };

    const fitted = fitReport({ ...whole, rehearsal });

    expect(Buffer.byteLength(JSON.stringify(fitted))).toBeLessThan(5_500_000);
    expect(fitted.rehearsal?.standstills).toEqual(rehearsal.standstills.slice(0, 100));
    expect(fitted.rehearsal?.statements).toEqual(rehearsal.statements.slice(-100));
    expect(fitted.rehearsal?.rewrites[0]).toMatchObject({ bytes: 19_999 });
    expect(fitted.rehearsal?.caveats).toEqual(rehearsal.caveats);
    expect(fitted.warnings.at(-1)?.message).toContain(
      "20000 rehearsal.standstills, 20000 rehearsal.rewrites, 20000 rehearsal.statements only 100 each",
    );
  });

  test("fits also where one notice is too long", () => {
    const report = fitReport(reportOf(1, 7_000_000));

    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(10_000);
  });

  test("fits also where a hundred entries of each list are too many", () => {
    const long = "ß".repeat(1_000);
    const warnings = Array.from({ length: 90 }, (_, index) => ({
      code: "OTHER",
      message: long + index,
    }));
    const unknown = warnings.map(({ message }) => ({ hash: long, when: 1, name: message }));
    const facts = { notices: [], warnings, drift: { modified: [], unknown, outOfOrder: [] } };
    const error = new MigratorError("LOCKED", long, { detail: long, hint: long, where: long });

    const report = fitReport(failedReport("size", error, facts), 100_000);

    expectReport(JSON.parse(JSON.stringify(report)));
    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(100_000);
    expect(report.warnings).toMatchObject([
      ...warnings.slice(0, 5).map(({ code }) => ({ code })),
      { code: "REPORT_SHORTENED", message: expect.stringContaining("90 unknown") },
    ]);
    expect(report.drift.unknown.map(({ name }) => name?.length)).toEqual([
      1_000, 1_000, 1_000, 1_000, 1_000,
    ]);
  });

  test("has no half a character where a text was cut", () => {
    const report = fitReport(
      failedReport("size", new MigratorError("LOCKED", "😀".repeat(2_000_000))),
    );

    expect(report.error?.message).toBe(`${"😀".repeat(999)}…`);
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

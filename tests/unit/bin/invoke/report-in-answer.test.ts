import { describe, expect, test } from "vitest";
import { reportIn } from "../../../../bin/invoke/report-in-answer.ts";
import { buildReport, failedReport } from "../../../../lib/report/report.ts";

const progress = JSON.stringify({ type: "progress", event: "statement", done: 1, total: 9 });
const lastLine = (report: object) => JSON.stringify({ type: "report", report });

/** @param details what an error says; null for none */
const read = (payload: string, details: string | null = null) =>
  reportIn(
    {
      requestId: "1",
      logTail: "",
      payload,
      error: details === null ? null : { code: "Unhandled", details },
    },
    "neon-migrations",
  );

describe("a streamed answer", () => {
  test("has the report in its last line", () => {
    const report = buildReport("1", "up-to-date", {});

    expect(read(`${progress}\n${lastLine(report)}\n`)).toEqual(report);
  });

  test("has it there also where an error comes behind it", () => {
    const report = failedReport("1", new Error("odd"));

    expect(read(`${progress}\n${lastLine(report)}\n`, "odd")).toEqual(report);
  });
});

test.each([
  ["a stream that was cut off", `${progress}\n`, null],
  ["a stream in which the function ended", progress, '{"errorType":"Runtime.ExitError"}'],
  ["a stream that Lambda ended without a word", progress, progress],
  ["half an answer", '{"schemaVersion":1,"requestId"', null],
  ["the page of a proxy", "<html>Sign in</html>", null],
  ["no answer", "", null],
  ["no error", "", ""],
])("nobody knows what became of a run by %s", (_what, payload, details) => {
  expect(() => read(payload, details)).toThrow(expect.objectContaining({ code: "RUN_UNKNOWN" }));
});

test.each([
  ["an answer of another kind", '{"ok":true}', null],
  ["null", "null", null],
  ["a text", '"done"', null],
  ["an error of another kind", "", '{"errorType":"TypeError","errorMessage":"x is no function"}'],
])("a function is none of ours by %s", (_what, payload, details) => {
  expect(() => read(payload, details)).toThrow(
    expect.objectContaining({ code: "FUNCTION_FOREIGN" }),
  );
});

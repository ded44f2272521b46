import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { renderAmendment, renderAmendmentFailure } from "../../../../bin/amend/render.ts";
import { annotations } from "../../../../bin/check/annotations.ts";
import { renderFindings } from "../../../../bin/check/render.ts";
import type { CheckResult } from "../../../../bin/check/result.ts";
import { toSarif } from "../../../../bin/check/sarif.ts";
import { showLogLine } from "../../../../bin/invoke/function-log.ts";
import { hear, renderProgress } from "../../../../bin/render/progress.ts";
import { renderReport } from "../../../../bin/render/report.ts";
import { RunView } from "../../../../bin/render/run-view.ts";
import type { ReportedFinding } from "../../../../lib/bundle/finding.ts";
import { MigratorError } from "../../../../lib/errors.ts";
import { httpAnswer } from "../../../../lib/events/http/answer.ts";
import { attributesOf, reasonOf } from "../../../../lib/events/summary.ts";
import { startLines } from "../../../../lib/handler/lines.ts";
import { createLog } from "../../../../lib/log.ts";
import { failedReport, type Report } from "../../../../lib/report/report.ts";
import { oneLine, printable, printableJson } from "../../../../lib/text.ts";
import { makeCall, respondTo } from "../../../setup/call.ts";
import { lambdaContext } from "../../../setup/lambda-context.ts";
import { makeBundle, makeMigration } from "../../../setup/make-migration.ts";

const HOSTILE: readonly (readonly [string, string])[] = [
  ["a command of GitHub Actions", "::error file=a.ts::all is lost"],
  ["one on a line of its own", "\n::add-mask::a"],
  ["one behind blanks", "x\n \t ::stop-commands::token"],
  ["one behind a carriage return", "x\r::error::y"],
  ["an older command", "x ##[error]y"],
  ["a command of Azure Pipelines", "x ##vso[task.setvariable variable=a]b"],
  ["a command of TeamCity", "##teamcity[buildStop]"],
  ["a line that is overwritten", "failed\rdone  "],
  ["colours", "\u001b[32mdone\u001b[0m"],
  ["a link to another place", "\u001b]8;;http://evil.example\u0007look\u001b]8;;\u0007"],
  ["an introducer in one byte", "\u009b31mred\u009d0;title\u009c"],
  ["the other direction", "abc\u202egnp.sql\u2066x\u2069"],
  ["characters that are not seen", "a\u200bb\ufeffc\u00add\u{e0041}"],
  ["a separator of lines", "a\u2028::error::b\u2029c\u0085d"],
  ["half a character", "a\ud800b"],
  ["a bell, a backspace and a delete", "a\u0007b\u0008c\u007fd"],
];

/** The characters that no output may have, the line breaks and the indentation of our own left out. */
const FORBIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|##(?:vso|teamcity)?\[/u;
const COMMAND = /^\s*::/m;

const colors = pc.createColors(false);
const facts = (text: string) => ({
  database: { host: text, name: text, serverVersion: text, role: text },
  ledger: { schema: text, table: text, format: "0.x" } as const,
  applied: [{ tag: text, hash: text, when: 1, statements: 1, durationMs: 1 }],
  pending: [{ tag: text, hash: text, when: 1, statements: 1, done: 1, reasons: [text] }],
  latest: text,
  drift: {
    modified: [{ tag: text, ledgerHash: text, bundleHash: text }],
    unknown: [{ hash: text, when: 1, name: text }],
    outOfOrder: [{ tag: text, hash: text, when: 1 }],
  },
  findings: [finding(text)],
  warnings: [{ code: "OTHER", message: text }],
  notices: [{ severity: text, message: text, migration: text }],
});

function finding(text: string): ReportedFinding {
  return {
    ...{ rule: "char", severity: "warning", migration: text, statement: 1, line: 1 },
    ...{ column: 1, message: text, rewrite: text, evidence: text },
  };
}

function reportOf(text: string): Report {
  const error = new MigratorError("MIGRATION_FAILED", text, {
    ...{ migration: text, detail: text, hint: text, where: text },
    statement: { index: 1, line: 1, column: 1, excerpt: text },
  });
  return failedReport(text, error, facts(text));
}

function checked(text: string): CheckResult {
  return {
    ...{ folder: text, migrations: [text], failed: false },
    findings: [{ ...finding(text), file: `${text}.sql` }],
    warnings: [{ code: "JOURNAL_TIME", message: text }],
    counts: { error: 0, warning: 1, note: 0 },
    database: facts(text).database,
  };
}

const bundleOf = (text: string) =>
  makeBundle(makeMigration(text, 1, `select '${text.replaceAll("\n", " ")}'`));

function collected(write: (line: (text: string) => void) => void): string {
  const lines: string[] = [];
  write((line) => lines.push(line));
  return lines.join("");
}

/** A stream that keeps what is written. */
function streamed(text: string): string {
  return collected((keep) => {
    const stream = { on: () => stream, write: keep, end: () => undefined };
    const lines = startLines(Object(stream), () => Object(stream));
    lines.tell({ event: "migration.applied", tag: text });
    lines.finish("", () => Object(stream));
  });
}

async function thrownBy(event: unknown, report: Report): Promise<string> {
  const answer = respondTo(event, report, makeCall(lambdaContext()));
  return await answer.then(
    () => "it answered",
    (thrown: unknown) => String(Object(thrown).message),
  );
}

type Renderer = (text: string) => string | Promise<string>;

const RENDERERS: Readonly<Record<string, Renderer>> = {
  "a report": (text) =>
    renderReport(reportOf(text), {
      ...{ action: "plan", folder: text, bundle: bundleOf(text), colors },
    }),
  "a report without the files": (text) =>
    renderReport(reportOf(text), { action: "up", folder: null, bundle: null, colors }),
  "an amendment": (text) =>
    renderAmendment(
      Object({
        ...facts(text),
        changes: [{ summary: text }],
        written: false,
      }),
      colors,
    ),
  "an amendment that failed": (text) =>
    renderAmendmentFailure(reportOf(text), { folder: text, colors }),
  "the findings of a folder": (text) => renderFindings(checked(text), bundleOf(text), colors),
  "a SARIF log": (text) => {
    const sarif = toSarif(checked(text), bundleOf(text));
    return `${printableJson(sarif, 2)}${Object(sarif).runs[0].results[0].message.text}`;
  },
  progress: (text) =>
    ["statement", "invoke.retry", "lock.abandoned-session-ended"]
      .map((event) =>
        renderProgress(event, {
          ...{ migration: text, done: 1, total: 2, code: text, message: text, pid: text },
        }),
      )
      .join("\n"),
  "attempts to connect": (text) => {
    const view = new RunView("Connecting", colors);
    const told = hear(view, "connect.retry", { attempt: 1, reason: text, code: text });
    return [...told, ...view.frame(200), view.signOfLife()].join("\n");
  },
  "a report on a narrow terminal": (text) =>
    renderReport(reportOf(text), {
      ...{ action: "up", folder: text, bundle: bundleOf(text), colors, width: 40 },
    }),
  "a line of a function's log": (text) =>
    [text, JSON.stringify({ event: text, [text]: text })]
      .map((line) => collected((say) => showLogLine(line, { log: (event) => say(event), say })))
      .join("\n"),
  "the picture of a run": (text) => {
    const view = new RunView("Connecting", colors);
    const session = { ...{ pid: 1, role: text, application: text }, query: text };
    const facts = { ...session, ...{ state: text, since: text } };
    const told = [
      ...hear(view, "planned", {
        ...{ database: text, host: text, serverVersion: text, role: text, ledger: text },
        pending: [text, "0002"].map((tag) => ({ tag, statements: 2 })),
      }),
      ...view.reached({ migration: text, statement: 1, text }),
      ...hear(view, "waiting", { blockers: [facts] }),
      ...view.waits([{ ...facts, pid: 2, transactionSeconds: 1, stateSeconds: 1 }]),
    ];
    const frame = [view.signOfLife(), ...view.frame(80), ...view.frame(1_000)];
    return [...told, ...frame, ...hear(view, "migration.applied", { tag: text })].join("\n");
  },
  "a line of our log": (text) => collected((keep) => createLog(text, keep)(text, { [text]: text })),
  "a line of a stream": streamed,
  "an answer over HTTP": (text) =>
    String(Object(httpAnswer({}, { status: 500, headers: {}, body: { ...reportOf(text) } })).body),
  "the reason of a deployment": (text) =>
    `${reasonOf(reportOf(text), lambdaContext(), 900)}${attributesOf(reportOf(text), lambdaContext()).latest}`,
  "the error of a direct call": (text) => thrownBy({}, reportOf(text)),
};

describe.each(Object.keys(RENDERERS))("%s", (name) => {
  test.each(HOSTILE)("obeys nothing of %s", async (_, text) => {
    const rendered = (await RENDERERS[name]?.(text)) ?? "";

    expect(rendered).not.toMatch(FORBIDDEN);
    expect(rendered).not.toMatch(COMMAND);
    expect(rendered.length).toBeGreaterThan(10);
  });
});

test.each(HOSTILE)("an annotation has %s as a text, and each is one command", (_, text) => {
  const lines = annotations(checked(text), "/");

  expect(lines).toHaveLength(2);
  expect(lines.join("")).not.toMatch(FORBIDDEN);
  expect(lines[0]).toMatch(/^::warning title=JOURNAL_TIME::[^\n]*$/);
  expect(lines[1]).toMatch(/^::warning file=[^\n:]*,line=1,col=1,title=char::[^\n]*$/);
});

test.each(HOSTILE)("JSON with %s reads as the same value", (_, text) => {
  expect(JSON.parse(printableJson({ [text]: [text] }, 2))).toEqual(
    JSON.parse(JSON.stringify({ [text]: [text] })),
  );
});

test("a tag with a line break does not make a line of its own", () => {
  const text = renderReport(reportOf("0001_a\n✓ 0002_b"), {
    ...{ action: "up", folder: "drizzle", bundle: null, colors },
  });

  expect(text).not.toMatch(/^✓ 0002_b/m);
  expect(oneLine("a\r\nb\nc")).toBe("a\\nb\\nc");
});

test("ordinary texts stay as they are", () => {
  const text = 'Grüße, 日本 👩 a::b "x" 100 %0A #[x] ## [y]\n\tcreate table t (\n);';

  expect(printable(text)).toBe(text);
});

test("every file of the command line that prints JSON prints it by the one function", () => {
  const folder = "bin";
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith(".ts") && existsSync(path));

  const raw = files.filter((path) =>
    /console\.\w+\([^;]*JSON\.stringify/.test(readFileSync(path, "utf8")),
  );

  expect(raw).toEqual([]);
});

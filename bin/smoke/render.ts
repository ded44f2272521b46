import type { Colors } from "picocolors/types.js";
import { indented, printableTexts } from "../render/printable.ts";
import { type Column, renderTable } from "../render/table.ts";
import type { SmokeResult } from "./result.ts";
import type { Step, StepEnd } from "./steps.ts";

/** Renders the answer: the plan, or what each step was to show and has shown. */
export function renderSmoke(raw: SmokeResult, colors: Colors, width: number): string {
  const result = printableTexts(raw);
  const lines =
    result.status === "planned"
      ? planLines(result, colors, width)
      : endLines(result, colors, width);
  return lines.join("\n");
}

function planLines(result: SmokeResult, colors: Colors, width: number): readonly string[] {
  const { stack, schema, database, cdk, steps, cleanWith } = result;
  const { host = "", name = "", role = "" } = database ?? {};
  const rows = steps.map(({ step, expected }, index) => [
    { text: String(index + 1) },
    { text: step },
    { text: expected, paint: colors.dim },
  ]);
  const columns: readonly Column[] = ["", "step", "expected"].map((title) => ({ title }));
  return [
    "This tries the package in your AWS account and on your database. It would make these two, and remove them at its end:",
    "",
    `  stack   ${stack}: a function, its role and its log, by ${cdk}`,
    `  schema  ${schema} in ${name} on ${host}, as ${role}`,
    "",
    "ID stands for the eight digits of a run. No other schema is written to.",
    "It takes some minutes, and costs less than a cent: a few calls of a function of 512 MB, some KB of log, and Neon's",
    "compute for that time. Two archives of the function's code stay in the bucket of cdk bootstrap.",
    "",
    ...renderTable(columns, rows, { width, paintTitle: colors.dim }),
    "",
    `Nothing was made. Do it: ${cleanWith.replace(/--clean \S+/, "--yes")}`,
  ];
}

const COLUMNS: readonly Column[] = [
  ...[{ title: "" }, { title: "step" }, { title: "expected", atLeast: 20 }],
  ...[{ title: "seen", atLeast: 20 }, { title: "s" }],
];

function endLines(result: SmokeResult, colors: Colors, width: number): readonly string[] {
  const ends = result.steps.filter(isEnd);
  const rows = ends.map((end) => {
    const { mark, paint } = markOf(end, colors);
    return [
      { text: mark, paint },
      { text: end.step },
      { text: end.expected, paint: colors.dim },
      { text: end.seen ?? "not done", paint },
      { text: end.seen === null ? "" : end.seconds.toFixed(1), paint: colors.dim },
    ];
  });
  const why = ends.filter(({ details }) => details !== "");
  return [
    ...renderTable(COLUMNS, rows, { width, paintTitle: colors.dim }),
    ...why.flatMap(({ step, details }) => ["", `${step}:`, `    ${indented(details)}`]),
    "",
    verdictOf(result, ends),
    ...leftLines(result),
  ];
}

function isEnd(step: Step | StepEnd): step is StepEnd {
  return "seconds" in step;
}

function markOf({ seen, asExpected }: StepEnd, colors: Colors) {
  if (seen === null) return { mark: "–", paint: colors.dim };
  return asExpected ? { mark: "✓", paint: colors.green } : { mark: "✗", paint: colors.red };
}

function verdictOf({ status }: SmokeResult, ends: readonly StepEnd[]): string {
  const wrong = ends.find(({ asExpected }) => !asExpected);
  if (status === "failed" && wrong !== undefined) {
    return `"${wrong.step}" ${wrong.seen === null ? "was left out" : "was not as expected"}. A code in capitals has its way out in docs/reference/errors.md.`;
  }
  if (ends.length === 1) return "Nothing is left of the run.";
  return "All as expected: the package works in this account and on this database.";
}

function leftLines({ left, cleanWith }: SmokeResult): readonly string[] {
  if (left.length === 0) return [];
  const names = left.map(({ what }) => what).join(" and ");
  const hands = left.map(({ how }) => `    ${how}`);
  return ["", `Left: ${names}. Remove it: ${cleanWith}`, "By hand:", ...hands];
}

import type { Colors } from "picocolors/types.js";
import type { AppliedMigration } from "../../lib/execute/executor.ts";
import type { Drift } from "../../lib/plan/plan.ts";
import type { PendingMigration, Report, RunningRun } from "../../lib/report/report.ts";
import { shortened } from "../../lib/text.ts";
import type { RenderOptions } from "./options.ts";
import { halfDone } from "./plan.ts";
import { type Cell, type Column, renderTable } from "./table.ts";
import { wrapped } from "./wrap.ts";

const COLUMNS: readonly Column[] = [
  { title: "" },
  { title: "migration", atLeast: 16 },
  { title: "made (UTC)", goes: 1 },
  { title: "applied (UTC)", goes: 2 },
  { title: "took", goes: 1 },
  { title: "by", atLeast: 12, goes: 3 },
  { title: "state" },
];

/** Stands for a column that would be empty. */
const UNKEPT = "A ledger of Drizzle 0.x does not keep when a migration was applied.";

/** A line of the table. The first is the oldest. */
interface Line {
  /** The journal's time; null for a row that somebody wrote by hand. */
  readonly when: number | null;
  readonly cells: readonly Cell[];
}

/** Renders the answer to `status`: a line for each migration and each row that no file explains, in the order of their times. */
export function statusLines(
  report: Omit<Report, "error">,
  { colors, width }: RenderOptions,
): readonly string[] {
  const { applied, pending, drift, running, ledger } = report;
  const isKept = ledger?.format !== "0.x" || applied.some(({ appliedAt }) => appliedAt != null);
  const modified = new Set(drift.modified.map(({ tag }) => tag));
  const late = new Set(drift.outOfOrder.map(({ tag }) => tag));
  const lines = [
    ...applied.map((each) => appliedLine(each, modified.has(each.tag), isKept, colors)),
    ...pending.map((each) => pendingLine(each, late.has(each.tag), modified.has(each.tag), colors)),
    ...drift.unknown.map((each) => aheadLine(each, isKept, colors)),
  ].toSorted((one, other) => (one.when ?? Infinity) - (other.when ?? Infinity));
  const cells = lines.map((each) => each.cells);
  const table = renderTable(COLUMNS, cells, {
    width: width ?? Number.POSITIVE_INFINITY,
    paintTitle: colors.dim,
  });
  return [
    ...(lines.length === 0 ? [] : table),
    ...(isKept || applied.length === 0 ? [] : [colors.dim(wrapped(UNKEPT, width))]),
    ...(running == null ? [] : [wrapped(runningLine(running, colors), width)]),
  ];
}

function appliedLine(
  migration: AppliedMigration,
  isModified: boolean,
  isKept: boolean,
  colors: Colors,
): Line {
  const { tag, when, durationMs, appliedAt, appliedBy } = migration;
  const mark = isModified ? colors.yellow("~") : colors.green("✓");
  const state = isModified ? "applied, modified since" : "applied";
  const took = durationMs === null ? "" : `${durationMs} ms`;
  const at = isKept ? minute(appliedAt) : "";
  return lineOf(when, mark, tag, [at, took, appliedBy ?? "", state], colors, isModified);
}

function pendingLine(
  { tag, when, done, statements }: PendingMigration,
  isLate: boolean,
  isModified: boolean,
  colors: Colors,
): Line {
  const half = done === 0 ? "pending" : `HALF APPLIED: ${halfDone({ done, statements })}`;
  const state = `${half}${isLate ? ", out of order" : ""}${isModified ? ", modified since" : ""}`;
  return lineOf(when, colors.yellow(isLate ? "<" : "·"), tag, ["", "", "", state], colors, true);
}

function aheadLine(row: Drift["unknown"][number], isKept: boolean, colors: Colors): Line {
  const cells = [isKept ? minute(row.appliedAt) : "", "", "", "ahead: in no file"];
  return lineOf(row.when, colors.yellow("?"), rowName(row), cells, colors, true);
}

/** Names a ledger row that no file explains. */
export function rowName({ name, hash }: Drift["unknown"][number]): string {
  return name ?? `hash ${shortened(hash, 13)}`;
}

function lineOf(
  when: number | null,
  mark: string,
  tag: string,
  [appliedAt = "", took = "", by = "", state = ""]: readonly string[],
  colors: Colors,
  stands: boolean,
): Line {
  const paint = colors.dim;
  return {
    when,
    cells: [
      { text: mark },
      { text: tag },
      { text: when === null ? "–" : minute(when), paint },
      { text: appliedAt, paint },
      { text: took, paint },
      { text: by, paint },
      { text: state, paint: stands ? colors.yellow : paint },
    ],
  };
}

/** Renders a time to its minute, in UTC; null as a dash, and undefined, where nobody asked, as nothing. */
export function minute(time: string | number | null | undefined): string {
  if (time === undefined) return "";
  const date = new Date(time ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return "–";
  return date.toISOString().slice(0, 16).replace("T", " ");
}

const STATEMENT_LENGTH = 80;
/** In a text that was made safe to print, a line break is written out. */
const LINE_BREAKS = /(?:\\[nrt]|\s)+/g;

function runningLine(
  { pid, application, role, since, state, statement }: RunningRun,
  colors: Colors,
): string {
  const who = [`pid ${pid}`, ...(role === null ? [] : [`role ${role}`])].join(", ");
  const name =
    application === null || application === "" ? "a session without a name" : application;
  const start = since === null ? "" : ` since ${since}`;
  const what =
    statement === null || statement === ""
      ? ""
      : `: ${shortened(statement.replace(LINE_BREAKS, " "), STATEMENT_LENGTH)}`;
  return `${colors.yellow("▸")} A run is under way${start}: ${name} (${who}), ${state ?? "state unknown"}${what}`;
}

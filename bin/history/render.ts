import type { Colors } from "picocolors/types.js";
import type { HistoryRun } from "../../lib/history/runs.ts";
import type { History } from "../../lib/page/history.ts";
import type { LedgerPlace } from "../../lib/target/target.ts";
import { counted, shortened } from "../../lib/text.ts";
import { lineTexts } from "../render/printable.ts";
import { minute } from "../render/status.ts";
import { type Cell, type Column, renderTable } from "../render/table.ts";

/** The answer of `history`. */
export interface HistoryAnswer extends History {
  readonly schemaVersion: 1;
  /** The tables that our role may not read. */
  readonly closed: readonly LedgerPlace[];
}

const COLUMNS: readonly Column[] = [
  { title: "" },
  { title: "ended (UTC)" },
  { title: "by", atLeast: 16 },
  { title: "migrations", atLeast: 20 },
  { title: "took" },
  { title: "request id", atLeast: 8, goes: 2 },
  { title: "before it", goes: 1 },
];

/** Renders the runs of a database for a person: a line for each, and the reason below one that failed. Pure. */
export function renderHistory(
  answer: HistoryAnswer,
  { colors, width }: { readonly colors: Colors; readonly width: number },
): string {
  const { database, runs, more, closed, exists } = lineTexts(answer);
  const failures = runs.filter(({ error }) => error !== null);
  const table = renderTable(
    COLUMNS,
    runs.map((run) => cellsOf(run, colors)),
    { width, paintTitle: colors.dim },
  );
  return [
    `Database ${database.name} on ${database.host}`,
    ...(runs.length === 0 ? [] : table),
    ...failures.map((run) => `${colors.red("✗")} ${failureOf(run)}`),
    ...(more === 0 ? [] : [colors.dim(`${counted(more, "older run")}: --limit shows more.`)]),
    ...closed.map(
      ({ schema, table: name }) =>
        `The history ${schema}.${name} is closed to the role ${database.role}.`,
    ),
    ...(exists ? [] : [NONE]),
    ...(exists && runs.length === 0 && closed.length === 0 ? ["No run has written anything."] : []),
  ].join("\n");
}

const NONE =
  "There is no history here. A run that applies something begins one beside the ledger, unless that is in public or Drizzle 1.0 is used: then LEDGER_HISTORY=on begins it.";

function cellsOf(run: HistoryRun, colors: Colors): readonly Cell[] {
  const { status, endedAt, by, durationMs, requestId, restorePoint } = run;
  const mark = status === "failed" ? colors.red("✗") : colors.green("✓");
  const paint = colors.dim;
  return [
    { text: mark },
    { text: minute(endedAt), paint },
    { text: by },
    { text: migrationsOf(run) },
    { text: `${durationMs} ms`, paint },
    { text: requestId, paint },
    { text: restorePoint?.lsn ?? restorePoint?.time ?? "", paint },
  ];
}

/** Names the migrations: the first, and the last where there are more. */
function migrationsOf({ migrations, status }: HistoryRun): string {
  const [first] = migrations;
  const last = migrations.at(-1);
  if (first === undefined || last === undefined) return status === "failed" ? "none" : "";
  return first === last ? first.tag : `${first.tag} … ${last.tag} (${migrations.length})`;
}

const LONGEST = 300;

function failureOf({ endedAt, error }: HistoryRun): string {
  if (error === null) return "";
  return `${minute(endedAt)} ${error.code}: ${shortened(error.message, LONGEST)}`;
}

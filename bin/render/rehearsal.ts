import {
  bytesText,
  findingsSentence,
  isOverLimit,
  limitSentences,
  WHO_WAITS,
} from "../../lib/page/rehearsal.ts";
import type { Rehearsal, Standstill } from "../../lib/report/rehearsed.ts";
import { counted, oneLine } from "../../lib/text.ts";
import type { RenderOptions } from "./options.ts";
import { renderTable } from "./table.ts";

const COLUMNS = [
  { title: "relation", atLeast: 12 },
  { title: "who waits" },
  { title: "for" },
  { title: "size", goes: 1 },
  { title: "since" },
] as const;

/** Renders what a rehearsal has seen: each migration, what stood still, and what was written anew. */
export function rehearsalLines(
  rehearsal: Rehearsal,
  { colors, width = Number.POSITIVE_INFINITY }: RenderOptions,
): readonly string[] {
  const { branch, applied, standstills, rewrites, caveats, limits } = rehearsal;
  const gone = branch.deleted ? "deleted again" : `there until ${branch.expiresAt}`;
  const heading = colors.dim(
    `On the branch ${oneLine(branch.name)} of ${oneLine(branch.parentId)}, ${gone}`,
  );
  // What was rolled back has held no lock to its COMMIT.
  if (rehearsal.status === "failed") return [heading];
  const rows = standstills.map((each) => cellsOf(each, limits, colors));
  return [
    heading,
    ...applied.map(
      ({ tag, statements, durationMs }) =>
        `${colors.green("✓")} ${oneLine(tag)}  ${counted(statements, "statement")}  ${durationMs ?? 0} ms`,
    ),
    "",
    ...(rows.length === 0
      ? ["Nothing that was there before would stand still."]
      : renderTable(COLUMNS, rows, { width, paintTitle: colors.dim })),
    ...rewrites.map(
      ({ relation, bytes, by }) =>
        `${colors.yellow("!")} ${oneLine(relation)} is written anew (${bytesText(bytes)}), by statement ${by.statement} of ${oneLine(by.migration)}`,
    ),
    costLine(rehearsal),
    ...limitSentences(rehearsal),
    ...[findingsSentence(rehearsal)].filter((line) => line !== "").map(oneLine),
    "",
    ...caveats.map((caveat) => colors.dim(`  ${caveat}`)),
    "",
  ];
}

function cellsOf(
  { relation, table, blocks, ms, bytes, rows, since, sampled }: Standstill,
  limits: Rehearsal["limits"],
  colors: RenderOptions["colors"],
) {
  const isOver = isOverLimit({ blocks, ms }, limits);
  const of = table === null ? "" : ` of ${oneLine(table)}`;
  const many = rows === null ? "" : `, ${counted(Math.round(rows), "row")}`;
  return [
    { text: `${oneLine(relation)}${of}` },
    { text: WHO_WAITS[blocks], ...(blocks === "ddl" ? {} : { paint: colors.yellow }) },
    { text: duration(ms), ...(isOver ? { paint: colors.red } : {}) },
    { text: `${bytesText(bytes)}${many}` },
    {
      text: `${oneLine(since.migration)}, statement ${since.statement}${sampled ? ", sampled" : ""}`,
    },
  ];
}

function costLine({ statements, walBytes, sizeBefore, sizeAfter }: Rehearsal): string {
  const ms = statements.reduce((sum, each) => sum + each.ms, 0);
  const log = walBytes === null ? "" : `, ${bytesText(walBytes)} of write-ahead log`;
  const grown =
    sizeAfter === null ? "" : `, the database ${bytesText(sizeBefore)} → ${bytesText(sizeAfter)}`;
  return `${counted(statements.length, "statement")} in ${duration(ms)}${log}${grown}`;
}

function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000
    ? `${(ms / 1_000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

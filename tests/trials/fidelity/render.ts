import { counted } from "../../../lib/text.ts";
import type { Difference } from "./compare.ts";
import type { FolderResult } from "./trial.ts";

const MAX_DIFFERENCES = 20;
const MAX_VALUE = 300;

/** One line for a folder. */
export function renderFolder(result: FolderResult): string {
  const { folder, outcome, bundle, ours, reference, facts } = result;
  const mark = { applied: "✓", refused: "–", mismatch: "✗" }[outcome];
  if (bundle === null || ours === null || reference === null) {
    return `${mark} ${folder.padEnd(24)} ${result.reason}`;
  }
  const statements = bundle.migrations.reduce((sum, each) => sum + each.statements.length, 0);
  const { together, replayed } = reference.method;
  const why = ours.executorReason === null ? "" : ` (${ours.executorReason})`;
  const how = together ? "one transaction" : `one by one, ${replayed.size} replayed`;
  const mismatches = result.ways.reduce((sum, { differences }) => sum + differences.length, 0);
  return [
    `${mark} ${folder.padEnd(24)}`,
    `${String(bundle.migrations.length).padStart(4)} migrations`,
    `${String(statements).padStart(5)} statements`,
    `compiled ${ms(result.compileMs)}`,
    `ours ${ms(ours.timings.totalMs)} ${ours.executor}${why}, ${counted(ours.cuts.length, "cut")}, ${counted(ours.roundTrips, "round trip")}`,
    `reference ${ms(reference.durationMs)} ${how}`,
    `${facts} facts`,
    outcome === "refused" ? `refused by both: ${result.reason}` : `${mismatches} mismatches`,
  ].join("  ");
}

/** What is wrong with a folder, in detail; empty where nothing is. */
export function renderDetails({ outcome, reason, ways }: FolderResult): readonly string[] {
  if (outcome !== "mismatch") return [];
  return [
    ...(reason === null ? [] : [`    ${reason}`]),
    ...ways.flatMap(({ name, differences }) => [
      ...(differences.length === 0 ? [] : [`    ${name}:`]),
      ...differences.slice(0, MAX_DIFFERENCES).map(renderDifference),
      ...(differences.length > MAX_DIFFERENCES
        ? [`      and ${differences.length - MAX_DIFFERENCES} more`]
        : []),
    ]),
  ];
}

function renderDifference({ fact, expected, actual }: Difference): string {
  return `      ${fact}\n        reference: ${cut(expected)}\n        here:      ${cut(actual)}`;
}

function cut(value: string | null): string {
  const text = value ?? "missing";
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

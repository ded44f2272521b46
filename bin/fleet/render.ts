import type { Colors } from "picocolors/types.js";
import type { FailureGroup, FleetReport, ReportedWave } from "../../lib/fleet/fleet-report.ts";
import { aheadOf, canaryOf, fleetOutcomeOf } from "../../lib/page/fleet.ts";
import { duration } from "../../lib/page/outcome.ts";
import type { Report } from "../../lib/report/report.ts";
import { counted } from "../../lib/text.ts";
import { renderError } from "../render/error.ts";
import { lineTexts } from "../render/printable.ts";
import { type Column, renderTable } from "../render/table.ts";
import { wrapped } from "../render/wrap.ts";
import type { FleetAnswer, FleetVerb } from "./answer.ts";
import { FleetView } from "./view.ts";

interface Options {
  readonly colors: Colors;
  /** Columns of the terminal. */
  readonly width: number;
}

/** Renders the answer of `fleet` for a person. Pure. */
export function renderFleet(
  raw: FleetAnswer,
  options: Options & { readonly verb: FleetVerb; readonly quiet: boolean },
): string {
  const { report, run, ledger, machine } = lineTexts(raw);
  const { colors, width, verb, quiet } = options;
  const prose = (text: string) => wrapped(text, width);
  if (run === null) {
    return prose(`${machine} has never run, or not in the last 90 days.`);
  }
  const known = ledger === null ? [] : [versionsLine("By the fleet's ledger", ledger.versions)];
  if (report !== null) {
    const details = quiet
      ? []
      : [
          ...waveLines(report, options),
          ...failureLines(report, options),
          ...factLines(report, colors),
        ];
    return [...details, ...known.map(prose), ...outcomeLines(report, options)].join("\n");
  }
  if (run.endedAt !== null) return prose(colors.red(withoutReport(raw, verb)));
  const picture = new FleetView(colors, () => Date.now());
  picture.saw(run);
  const going = verb === "status" ? "" : " It goes on in AWS.";
  const hint = `Under way since ${run.startedAt}.${going} neon-migrate fleet status shows how far it is.`;
  return [...picture.frame(width), ...known, hint].map(prose).join("\n");
}

/** Renders a failure for a person. Pure. */
export function renderFleetFailure(report: Report, options: Options): string {
  const { error } = report;
  if (error === undefined) return "";
  const about = { ...options, action: "status", bundle: null, folder: null } as const;
  return renderError(report, error, about).join("\n");
}

function withoutReport({ run, machine }: FleetAnswer, verb: FleetVerb): string {
  const next =
    verb === "status"
      ? `Its report: neon-migrate fleet report --machine ${machine} --run ${run?.run}`
      : "It ended before it had read its list, so no tenant was touched.";
  const why = run?.error == null ? "" : ` ${run.error.code}: ${run.error.message}`;
  return `The run ${run?.run} ended as ${run?.status}, without a report.${why} ${next}`;
}

const COLUMNS: readonly Column[] = [
  ...[{ title: "" }, { title: "wave", atLeast: 8 }, { title: "tenants" }, { title: "applied" }],
  ...[{ title: "up to date", goes: 3 }, { title: "failed" }, { title: "gone", goes: 2 }],
  ...[{ title: "unknown" }, { title: "not begun" }, { title: "may fail", goes: 1 }],
];

function waveLines({ waves }: FleetReport, { colors, width }: Options): readonly string[] {
  if (waves.length === 0) return [];
  const number = (value: number, paint?: (text: string) => string) => ({
    text: value === 0 ? "" : String(value),
    ...(paint === undefined ? {} : { paint }),
  });
  const rows = waves.map((wave) => [
    { text: markOf(wave), paint: wave.overBudget ? colors.red : colors.green },
    { text: wave.name },
    number(wave.count),
    number(wave.applied, colors.green),
    number(wave.upToDate),
    number(wave.failed, colors.red),
    number(wave.gone),
    number(wave.unknown, colors.yellow),
    number(wave.pending, colors.yellow),
    { text: String(wave.toleratedCount), paint: colors.dim },
  ]);
  return renderTable(COLUMNS, rows, { width, paintTitle: colors.dim });
}

function markOf({ overBudget, pending, count, failed, unknown }: ReportedWave): string {
  if (overBudget) return "✗";
  if (pending === count) return "·";
  return failed + unknown + pending === 0 ? "✓" : "!";
}

function failureLines({ failures }: FleetReport, { colors, width }: Options): readonly string[] {
  return failures.flatMap((group) => [
    "",
    wrapped(`${colors.red(colors.bold(causeOf(group)))}  ${counted(group.count, "tenant")}`, width),
    wrapped(`    ${group.message}`, width),
    wrapped(`    ${colors.dim(idsOf(group))}`, width),
  ]);
}

/** Names the cause of a group: code, SQLSTATE and place. */
export function causeOf({ code, sqlstate, migration, statement }: FailureGroup): string {
  const state = sqlstate === null ? "" : ` (SQLSTATE ${sqlstate})`;
  const at = statement === null ? "" : `, statement ${statement}`;
  return `${code}${state}${migration === null ? "" : ` ${migration}${at}`}`;
}

/** Names the first tenants of a group. */
export function idsOf({ firstIds, count }: FailureGroup): string {
  const more = count - firstIds.length;
  return `${firstIds.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function factLines(report: FleetReport, colors: Colors): readonly string[] {
  const { slowest, durations, versions, behind, files, fleet } = report;
  const more = [canaryOf(report), aheadOf(report)].filter((line) => line !== null);
  const slow = slowest.slice(0, 3).map(({ id, ms }) => `${id} ${duration(ms)}`);
  const { p50, p95, max } = durations;
  return [
    "",
    ...(p50 === null || p95 === null || max === null
      ? []
      : [
          colors.dim(
            `A tenant took ${duration(p50)} (half), ${duration(p95)} (19 of 20), ${duration(max)} (all). Slowest: ${slow.join(", ")}`,
          ),
        ]),
    colors.dim(versionsLine("Newest migration", versions)),
    ...more,
    ...(behind.count === 0
      ? []
      : [`${counted(behind.count, "tenant")} behind: s3://${fleet}/${behind.file}`]),
    colors.dim(`All tenants: s3://${fleet}/${files.tenants}`),
  ];
}

function versionsLine(title: string, versions: Readonly<Record<string, number>>): string {
  const parts = Object.entries(versions).map(([tag, count]) => `${tag} ${count}`);
  return `${title}: ${parts.slice(0, 5).join(", ") || "nothing known"}${parts.length > 5 ? ` and ${parts.length - 5} more` : ""}`;
}

/** The command is not broken into lines: it is there to be copied. */
function outcomeLines(report: FleetReport, { colors, width }: Options): readonly string[] {
  const { tone, sentence } = fleetOutcomeOf(report);
  const paint = { good: colors.green, open: colors.yellow, bad: colors.red }[tone];
  const said = wrapped(paint(sentence), width);
  return [said, ...(tone === "good" ? [] : [`Next: ${report.next}`])];
}

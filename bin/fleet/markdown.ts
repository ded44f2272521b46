import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { aheadOf, canaryOf, fleetOutcomeOf } from "../../lib/page/fleet.ts";
import { duration } from "../../lib/page/outcome.ts";
import { counted } from "../../lib/text.ts";
import { code, escaped, row, SIGNS } from "../render/markdown.ts";
import { causeOf, idsOf } from "./render.ts";

/** Writes the report of a fleet in Markdown, for the summary of a step on GitHub. Every text from outside is escaped. */
export function renderFleetMarkdown(report: FleetReport): string {
  const { tone, sentence } = fleetOutcomeOf(report);
  const { fleet, run, waves, failures, slowest, versions, next, files } = report;
  const blocks = [
    `## ${SIGNS[tone]} ${escaped(sentence)}`,
    `Fleet ${code(fleet)}, run ${code(run)}`,
    ...(tone === "good" ? [] : [`**How to go on:** ${code(next)}`]),
    ...section(
      "Failures by cause",
      failures.map(
        (group) =>
          `- **${escaped(causeOf(group))}**, ${counted(group.count, "tenant")}: ${escaped(group.message)} (${escaped(idsOf(group))})`,
      ),
    ),
    ...section("Waves", waves.length === 0 ? [] : [...HEADER, ...waves.map(waveRow)]),
    ...section(
      "Newest migration",
      Object.entries(versions).map(([tag, count]) => `- ${code(tag)}: ${counted(count, "tenant")}`),
    ),
    ...section(
      "Slowest",
      slowest.map(({ id, ms }) => `- ${code(id)}: ${duration(ms)}`),
    ),
    ...[canaryOf(report), aheadOf(report)].filter((line) => line !== null).map(escaped),
    `All tenants: ${code(`s3://${fleet}/${files.tenants}`)}`,
  ];
  return `${blocks.join("\n\n")}\n`;
}

const HEADER = [
  row("wave", "tenants", "applied", "up to date", "failed", "gone", "unknown", "not begun"),
  row("---", "---:", "---:", "---:", "---:", "---:", "---:", "---:"),
];

function waveRow(wave: FleetReport["waves"][number]): string {
  const { name, count, applied, upToDate, failed, gone, unknown, pending, overBudget } = wave;
  const failures = overBudget ? `**${failed}**, over the budget` : failed;
  return row(code(name), count, applied, upToDate, failures, gone, unknown, pending);
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`### ${title}`, lines.join("\n")];
}

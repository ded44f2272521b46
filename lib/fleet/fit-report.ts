import { shortened } from "../text.ts";
import type { FleetReport } from "./fleet-report.ts";

/** The largest report of a fleet, in bytes of its JSON. */
export const MAX_FLEET_REPORT_BYTES = 20_000;

/** What stays of each list and text. The first that makes the report fit is taken. */
const LEVELS = [
  { groups: 40, ids: 10, text: 300, slowest: 10, versions: 40, manifests: 24, id: 200 },
  { groups: 20, ids: 10, text: 200, slowest: 10, versions: 20, manifests: 12, id: 200 },
  { groups: 10, ids: 5, text: 150, slowest: 5, versions: 10, manifests: 6, id: 100 },
  { groups: 5, ids: 2, text: 100, slowest: 3, versions: 5, manifests: 2, id: 50 },
  { groups: 3, ids: 1, text: 60, slowest: 1, versions: 3, manifests: 0, id: 30 },
] as const;

type Level = (typeof LEVELS)[number];

/** Makes a report fit into 20 KB. One that fits stays as it is. */
export function fitFleetReport(report: FleetReport): FleetReport {
  const isShort = (each: FleetReport) =>
    Buffer.byteLength(JSON.stringify(each)) <= MAX_FLEET_REPORT_BYTES;
  if (isShort(report)) return report;
  const fitted = LEVELS.map((level) => cut(report, level));
  return fitted.find(isShort) ?? fitted.at(-1) ?? report;
}

function cut(report: FleetReport, level: Level): FleetReport {
  const versions = Object.entries(report.versions).toSorted(([, a], [, b]) => b - a);
  const others = versions.slice(level.versions).reduce((sum, [, count]) => sum + count, 0);
  return {
    ...report,
    failures: report.failures.slice(0, level.groups).map((group) => ({
      ...group,
      migration: group.migration === null ? null : shortened(group.migration, level.text),
      firstIds: group.firstIds.slice(0, level.ids).map((id) => shortened(id, level.id)),
      message: shortened(group.message, level.text),
    })),
    slowest: report.slowest
      .slice(0, level.slowest)
      .map(({ id, ms }) => ({ id: shortened(id, level.id), ms })),
    versions: Object.fromEntries([
      ...versions
        .slice(0, level.versions)
        .map(([tag, count]) => [shortened(tag, level.text), count]),
      ...(others > 0 ? [["others", others]] : []),
    ]),
    files: { ...report.files, manifests: report.files.manifests.slice(0, level.manifests) },
    shortened: true,
  };
}

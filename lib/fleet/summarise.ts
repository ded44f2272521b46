import { shortened } from "../text.ts";
import { failuresIn, type RunEnding, type WaveResults } from "./collect.ts";
import type {
  FailureGroup,
  FleetCounts,
  FleetReport,
  ReportedWave,
  TenantLine,
  TenantStatus,
} from "./fleet-report.ts";
import type { Prepared } from "./prepared.ts";

/** All that is known of a run at its end. */
export interface Known extends RunEnding {
  readonly prepared: Prepared;
  readonly results: readonly WaveResults[];
  /** In UTC. */
  readonly endedAt: string;
}

/** The ends of a run's tenants, and their report. */
export interface Summary {
  readonly report: FleetReport;
  readonly tenants: readonly TenantLine[];
  readonly behind: readonly TenantLine[];
}

/** The status of a tenant without a result, by the state of its wave. */
const WITHOUT_RESULT: Readonly<Record<WaveResults["state"], TenantStatus>> = {
  ended: "unknown",
  lost: "unknown",
  doubtful: "unknown",
  never: "pending",
};

const FIRST_IDS = 10;
const SLOWEST = 10;

/** Sums a run up. Pure. */
export function summarise(known: Known): Summary {
  const { prepared, results, broken, endedAt } = known;
  const { plan, startedAt, latest, skipped } = prepared;
  const waves = results.map(({ wave, ...found }) => ({
    wave,
    ...found,
    lines: linesOf({ wave, ...found }),
  }));
  const left = skipped.map((id): TenantLine => ({ id, status: "skipped", wave: null, latest }));
  const tenants = [...left, ...waves.flatMap(({ lines }) => lines)];
  const counts = countsOf(tenants);
  const behind = tenants.filter((line) => isBehind(line, latest));
  const status = statusOf(counts, known);
  const report: FleetReport = {
    ...{
      schemaVersion: 1,
      fleet: plan.bucket,
      run: plan.run,
      bundleHash: plan.expect.hash,
      latest,
    },
    ...{ startedAt, endedAt, status, counts },
    waves: waves.map(({ wave, lines, ends }) => reportedWave(wave, lines, failuresIn(ends))),
    failures: groupFailures(tenants),
    slowest: slowestOf(tenants),
    durations: durationsOf(tenants),
    versions: versionsOf(tenants),
    behind: { count: behind.length, file: `${plan.prefix}/behind.jsonl` },
    ahead: tenants.filter(({ ahead = 0 }) => ahead > 0).length,
    ...canaryOf(waves),
    files: {
      report: `${plan.prefix}/report.json`,
      tenants: `${plan.prefix}/tenants.jsonl`,
      manifests: results.flatMap(({ manifests }) => manifests),
    },
    next: nextOf(status),
    ...(broken === null
      ? {}
      : {
          stoppedBy: { error: shortened(broken.error, 100), cause: shortened(broken.cause, 300) },
        }),
  };
  return { report, tenants, behind };
}

function linesOf({ wave, ids, ends, state }: WaveResults): readonly TenantLine[] {
  return ids.map((id) => ({
    ...(ends.get(id)?.line ?? { id, status: WITHOUT_RESULT[state] }),
    wave: wave.index,
  }));
}

function countsOf(tenants: readonly TenantLine[]): FleetCounts {
  const count = (status: TenantStatus) => tenants.filter((line) => line.status === status).length;
  return {
    ...{ total: tenants.length, skipped: count("skipped"), applied: count("applied") },
    ...{ upToDate: count("up-to-date"), failed: count("failed"), gone: count("gone") },
    ...{ unknown: count("unknown"), pending: count("pending") },
  };
}

function statusOf(
  { skipped, applied, upToDate, failed, gone, unknown, pending }: FleetCounts,
  { prepared, results }: Known,
): FleetReport["status"] {
  const good = skipped + applied + upToDate;
  const bad = failed + unknown + (prepared.plan.gone === "error" || good === 0 ? gone : 0);
  if (results.some(({ state }) => state === "lost")) return "incomplete";
  if (results.some(isOverBudget)) return good + pending === 0 ? "failed" : "stopped";
  if (pending > 0 || results.some(({ state }) => state === "doubtful")) return "stopped";
  if (bad > 0) return good === 0 ? "failed" : "partial";
  return applied > 0 ? "applied" : "up-to-date";
}

function isOverBudget({ wave, ends }: WaveResults): boolean {
  return failuresIn(ends) > wave.toleratedCount;
}

function reportedWave(
  { index, name, count, toleratedCount }: WaveResults["wave"],
  lines: readonly TenantLine[],
  failures: number,
): ReportedWave {
  const { applied, upToDate, failed, gone, unknown, pending } = countsOf(lines);
  return {
    ...{ index, name, count, applied, upToDate, failed, gone, unknown, pending, toleratedCount },
    overBudget: failures > toleratedCount,
  };
}

/** Groups failures by their cause, and those whose end nobody knows by what happened to them. */
export function groupFailures(tenants: readonly TenantLine[]): readonly FailureGroup[] {
  const groups = new Map<string, FailureGroup & { readonly firstIds: string[] }>();
  for (const {
    id,
    code,
    sqlstate = null,
    migration = null,
    statement = null,
    message = "",
  } of tenants) {
    if (code === undefined) continue;
    const key = JSON.stringify([code, sqlstate, migration, statement]);
    const known = groups.get(key);
    const firstIds = known?.firstIds ?? [];
    if (firstIds.length < FIRST_IDS) firstIds.push(id);
    groups.set(key, {
      ...{ code, sqlstate, migration, statement, firstIds },
      ...{ count: (known?.count ?? 0) + 1, message: known?.message ?? message },
    });
  }
  return [...groups.values()].toSorted((a, b) => b.count - a.count);
}

/** The canary is the first tenant of the first wave. */
function canaryOf([first]: readonly {
  readonly wave: WaveResults["wave"];
  readonly lines: readonly TenantLine[];
}[]): Pick<FleetReport, "canary"> {
  const line = first?.wave.rehearse === true ? first.lines[0] : undefined;
  return line === undefined ? {} : { canary: { id: line.id, rehearsal: line.rehearsal ?? null } };
}

function slowestOf(tenants: readonly TenantLine[]): FleetReport["slowest"] {
  return tenants
    .flatMap(({ id, ms }) => (ms === undefined ? [] : { id, ms }))
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST);
}

function durationsOf(tenants: readonly TenantLine[]): FleetReport["durations"] {
  const sorted = tenants.flatMap(({ ms }) => ms ?? []).toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? null;
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

function versionsOf(tenants: readonly TenantLine[]): FleetReport["versions"] {
  const versions = new Map<string, number>();
  for (const { latest } of tenants) {
    if (latest !== undefined)
      versions.set(latest ?? "none", (versions.get(latest ?? "none") ?? 0) + 1);
  }
  return Object.fromEntries(versions);
}

function isBehind({ status, latest }: TenantLine, newest: string | null): boolean {
  const isDone = status === "skipped" || status === "applied" || status === "up-to-date";
  return status !== "gone" && !(isDone && latest === newest);
}

function nextOf(status: FleetReport["status"]): string {
  if (status === "incomplete") return "neon-migrate fleet report";
  return status === "applied" || status === "up-to-date"
    ? "neon-migrate fleet status"
    : "neon-migrate fleet resume";
}

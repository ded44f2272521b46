import type { FleetReport } from "../../lib/fleet/fleet-report.ts";

export const MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:fleet";

const WAVE = {
  ...{ index: 0, name: "acme", count: 1, applied: 1, upToDate: 0, failed: 0, gone: 0 },
  ...{ unknown: 0, pending: 0, toleratedCount: 0, overBudget: false },
};

/** Makes the report of a fleet of which a few tenants are not through, with a text from outside in each place for one. */
export function partialFleet(text = "<script>alert(1)</script>"): FleetReport {
  return {
    ...{ schemaVersion: 1, fleet: "fleet-bucket", run: "night-1", bundleHash: "5f".repeat(32) },
    ...{ latest: "0012_plans", startedAt: "2026-11-29T09:00:00.000Z" },
    ...{ endedAt: "2026-11-29T09:05:00.000Z", status: "partial" },
    counts: {
      ...{ total: 500, skipped: 10, applied: 480, upToDate: 3 },
      ...{ failed: 4, gone: 1, unknown: 2, pending: 0 },
    },
    waves: [
      WAVE,
      {
        ...WAVE,
        index: 1,
        name: "100%",
        count: 489,
        applied: 479,
        upToDate: 3,
        failed: 4,
        gone: 1,
        unknown: 2,
        toleratedCount: 5,
      },
    ],
    failures: [
      {
        ...{ code: "MIGRATION_FAILED", sqlstate: "23505", migration: "0012_plans", statement: 2 },
        ...{ count: 4, firstIds: ["globex", text] },
        message: 'could not create unique index "plans_name"',
      },
    ],
    slowest: [{ id: "initech", ms: 12_400 }],
    durations: { p50: 210, p95: 800, max: 12_400 },
    versions: { "0012_plans": 493, "0011_old": 7 },
    behind: { count: 7, file: "runs/night-1/tenants.jsonl" },
    ahead: 0,
    files: {
      report: "runs/night-1/report.json",
      tenants: "runs/night-1/tenants.jsonl",
      manifests: [],
    },
    next: `neon-migrate fleet resume --machine ${MACHINE}`,
  };
}

/** Makes the report of a fleet that was stopped at its canary, with this text wherever a tenant or a migration names itself. */
export function stoppedFleet(text = "acme"): FleetReport {
  const partial = partialFleet(text);
  const { failures, files } = partial;
  const canary = { ...WAVE, name: text, applied: 0, failed: 1, overBudget: true };
  const rest = { ...WAVE, index: 1, name: "100%", count: 499, applied: 0, pending: 499 };
  return {
    ...{ ...partial, run: text, latest: text, status: "stopped", waves: [canary, rest] },
    counts: {
      ...{ total: 500, skipped: 0, applied: 0, upToDate: 0 },
      ...{ failed: 1, gone: 0, unknown: 0, pending: 499 },
    },
    failures: failures.map((group) => ({
      ...{ ...group, code: text, migration: text, message: text, firstIds: [text], count: 1 },
    })),
    ...{ slowest: [{ id: text, ms: 900 }], versions: { [text]: 500 }, ahead: 2 },
    ...{ canary: { id: text, rehearsal: "failed" }, files: { ...files, tenants: text } },
    behind: { count: 500, file: text },
    stoppedBy: { error: "States.ExceedToleratedFailureThreshold", cause: text },
  };
}

/** Makes the report of a fleet where all went well. */
export function wholeFleet(): FleetReport {
  return {
    ...{ ...partialFleet(), status: "applied", failures: [], behind: { count: 0, file: "behind" } },
    counts: {
      ...{ total: 500, skipped: 10, applied: 490, upToDate: 0 },
      ...{ failed: 0, gone: 0, unknown: 0, pending: 0 },
    },
    ...{ versions: { "0012_plans": 500 }, canary: { id: "acme", rehearsal: "passed" } },
  };
}

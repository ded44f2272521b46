import { collectResults, type RunEnding, type Wait } from "./collect.ts";
import { fitFleetReport } from "./fit-report.ts";
import type { StepDependencies } from "./fleet-dependencies.ts";
import { advanceLedger, type LedgerChanges } from "./fleet-ledger.ts";
import type { FleetReport, TenantLine } from "./fleet-report.ts";
import { type Prepared, readPrepared } from "./prepared.ts";
import { fleetInvalid } from "./read-request.ts";
import { summarise } from "./summarise.ts";

/** For how long the results of a wave are waited for. */
const WAIT: Wait = { forMs: 60_000, everyMs: 2_000 };
/** The time that is kept back for the report itself, in ms. */
const FOR_WRITING_MS = 15_000;

/**
 * Reports on a run: collects the results of its waves, writes the report and the lists of tenants into the bucket, and
 * advances the fleet's ledger. Asked twice, it writes the same again.
 * @throws MigratorError as `runStep`
 */
export async function reportRun(
  run: string,
  ending: RunEnding,
  { store, log, deadline }: Pick<StepDependencies, "store" | "log" | "deadline">,
  wait: Wait = WAIT,
): Promise<FleetReport> {
  const prepared = await readPrepared(store, run);
  if (prepared === null) {
    throw fleetInvalid(`The run ${run} has no plan in the bucket. Its first step tells why.`);
  }
  const forMs = Math.max(Math.min(wait.forMs, deadline - Date.now() - FOR_WRITING_MS), 0);
  const results = await collectResults(prepared.plan, ending, store, { ...wait, forMs });
  const endedAt = new Date().toISOString();
  const { report, tenants, behind } = summarise({ ...ending, prepared, results, endedAt });
  const fitted = fitFleetReport(report);
  await Promise.all([
    store.write(report.files.tenants, linesOf(tenants)),
    store.write(report.behind.file, linesOf(behind)),
    store.write(report.files.report, JSON.stringify(fitted)),
  ]);
  const advanced = await advanceLedger(store, changesOf(tenants, prepared));
  if (!advanced) log("fleet.ledger-lost", { run });
  log("fleet.reported", { run, status: report.status, ...report.counts });
  return fitted;
}

function linesOf(tenants: readonly TenantLine[]): string {
  return tenants.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Those that were left out stay in the ledger as they are, and so do those that were never begun. */
function changesOf(
  tenants: readonly TenantLine[],
  { plan, startedAt, source, isWhole, fingerprints }: Prepared,
): LedgerChanges {
  const current = tenants.filter(({ status }) => status === "applied" || status === "up-to-date");
  const doubtful = tenants.filter(({ status }) => ["failed", "gone", "unknown"].includes(status));
  return {
    ...{ startedAt, source, isWhole },
    current: current.map(({ id, latest = null }) => ({
      ...{ id, hash: plan.expect.hash, latest, fingerprint: fingerprints[id] ?? "" },
    })),
    doubtful: doubtful.map(({ id }) => id),
    listed: new Set(tenants.map(({ id }) => id)),
  };
}

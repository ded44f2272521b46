import { overviewOf } from "../bundle/overview.ts";
import { readAllowed } from "../target/allowed.ts";
import { askSample, sampleDeadline } from "./ask-sample.ts";
import { checkTargets, type Tenant } from "./check-targets.ts";
import type { StepDependencies } from "./fleet-dependencies.ts";
import { advanceLedger, type FleetLedger, LEDGER_KEY, parseFleetLedger } from "./fleet-ledger.ts";
import type { FleetPlan, WaveLine } from "./fleet-plan.ts";
import type { FleetRequest } from "./fleet-request.ts";
import { type Prepared, prefixOf, writePrepared } from "./prepared.ts";
import { fleetInvalid, readFleetRequest } from "./read-request.ts";
import { readList, sourceNameOf } from "./sources.ts";
import { type CutWave, cutWaves } from "./waves.ts";

/** The largest plan, in bytes: it is part of the state of an execution. */
const MAX_PLAN_BYTES = 4_096;

/**
 * Prepares a run: reads the list and checks all of it, leaves out who is up to date by the fleet's ledger, and writes a file
 * of tenants for each wave. Nothing is written before the whole list is known to be good.
 * @throws MigratorError as `runStep`
 */
export async function prepare(
  run: string,
  asked: unknown,
  dependencies: StepDependencies,
): Promise<FleetPlan> {
  const { bundle, store, log } = dependencies;
  const startedAt = new Date().toISOString();
  const request = readFleetRequest(asked);
  const allowed = readAllowed();
  const tenants = checkTargets(await readList(request.targets, allowed, dependencies), allowed);
  if (tenants.length === 0 && !request.allowEmpty) {
    throw fleetInvalid("The list of targets is empty. If that is right, set allowEmpty to true.");
  }
  const source = sourceNameOf(request.targets, store.bucket);
  const moment = { startedAt, source };
  const { due, skipped } = await partition(tenants, request, moment, dependencies);
  const ids = new Set(tenants.map(({ reference }) => reference.id));
  const waves = cutWaves(due, ids, request);
  const plan = planOf(run, request, { waves, due, skipped, total: tenants.length }, dependencies);
  await Promise.all(
    waves.map((wave, index) =>
      store.write(
        plan.waves[index]?.key ?? "",
        linesOf(wave, plan.waves[index]?.rehearse ?? false),
      ),
    ),
  );
  await writePrepared(store, {
    ...{ plan, ...moment, isWhole: request.list === "whole" },
    latest: overviewOf(bundle).latest,
    skipped: skipped.map(({ reference }) => reference.id),
    fingerprints: Object.fromEntries(
      due.map(({ reference, fingerprint }) => [reference.id, fingerprint]),
    ),
  });
  log("fleet.prepared", { run, ...plan.counts, waves: plan.waves.length });
  return plan;
}

/** Parts those that are due from those that the ledger knows as up to date. */
async function partition(
  tenants: readonly Tenant[],
  { skip, sample }: FleetRequest,
  moment: Pick<Prepared, "startedAt" | "source">,
  dependencies: StepDependencies,
): Promise<{ readonly due: readonly Tenant[]; readonly skipped: readonly Tenant[] }> {
  if (skip === "none") return { due: tenants, skipped: [] };
  const { store, bundle, log } = dependencies;
  const ledger = parseFleetLedger((await store.read(LEDGER_KEY))?.text ?? null);
  const isKnown = (tenant: Tenant) => isUpToDate(tenant, ledger, bundle.hash);
  const known = tenants.filter(isKnown);
  const deadline = sampleDeadline(Date.now(), dependencies.deadline);
  const { lies, silent } = await askSample(known, sample, { ...dependencies, deadline });
  if (lies.length > 0) {
    log("fleet.ledger-wrong", { tenants: lies.slice(0, 10), asked: "everybody" });
    // A run that is stopped has not asked everybody: the next one must know it, too.
    const doubtful = known.map(({ reference }) => reference.id);
    const listed = new Set(doubtful);
    await advanceLedger(store, { ...moment, current: [], doubtful, listed, isWhole: false });
    return { due: tenants, skipped: [] };
  }
  const doubtful = new Set(silent);
  const skipped = known.filter(({ reference }) => !doubtful.has(reference.id));
  const left = new Set(skipped);
  return { due: tenants.filter((tenant) => !left.has(tenant)), skipped };
}

function isUpToDate(
  { reference, fingerprint }: Tenant,
  ledger: FleetLedger,
  hash: string,
): boolean {
  const entry = ledger.get(reference.id);
  return entry?.hash === hash && entry.fingerprint === fingerprint;
}

interface Cut {
  readonly waves: readonly CutWave[];
  readonly due: readonly Tenant[];
  readonly skipped: readonly Tenant[];
  readonly total: number;
}

function planOf(
  run: string,
  request: FleetRequest,
  { waves, due, skipped, total }: Cut,
  { bundle, store }: StepDependencies,
): FleetPlan {
  const prefix = prefixOf(run);
  const plan = {
    ...{ run, bucket: store.bucket, prefix, expect: { hash: bundle.hash } },
    ...{ request: request.request, failOn: request.failOn, gone: request.gone },
    counts: { total, skipped: skipped.length, due: due.length },
    waves: waves.map(({ tenants: _, ...wave }, index) => ({
      ...{ index, ...wave, key: `${prefix}/wave-${index}.jsonl` },
      rehearse: index === 0 && request.rehearse === "canary",
    })),
  };
  const bytes = Buffer.byteLength(JSON.stringify(plan));
  if (bytes <= MAX_PLAN_BYTES) return plan;
  throw fleetInvalid(
    `The plan of these waves has ${bytes} bytes, and may have ${MAX_PLAN_BYTES}. Take fewer waves.`,
  );
}

function linesOf({ tenants }: CutWave, rehearse: boolean): string {
  const lines = tenants.map(({ reference }, index): WaveLine => {
    const line = { target: reference };
    return rehearse && index === 0 ? { ...line, rehearsal: "first" } : line;
  });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

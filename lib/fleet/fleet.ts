/*
 * Fleet: many databases, each by a call of its own. Before the calls a list of targets comes in, and waves of those that are
 * due go out, as files in the fleet's bucket (prepare.ts). Behind the calls their results come in, as files that Step
 * Functions wrote, and one report goes out (report-run.ts). Nothing here applies a migration: that is an ordinary call for
 * one tenant, whose database `tenant.ts` finds.
 */

import { asRecord, asText, isCount } from "../json.ts";
import { readFleetBucket } from "../target/allowed.ts";
import type { FleetDependencies } from "./fleet-dependencies.ts";
import type { FleetPlan } from "./fleet-plan.ts";
import type { FleetReport } from "./fleet-report.ts";
import { openStore } from "./object-store.ts";
import { prepare } from "./prepare.ts";
import { fleetInvalid } from "./read-request.ts";
import { reportRun } from "./report-run.ts";

/** Names go into the keys of objects. Those of executions have no other characters that we take. */
const RUN = /^(?!\.)[\w.-]{1,80}$/;

/**
 * Does one step of a fleet's run.
 * @param step the content of the event; see `FleetEvent`
 * @throws MigratorError `FLEET_INVALID`, `FLEET_UNAVAILABLE`, `TARGET_DENIED`, `CONFIG_INVALID`, and as the way to a list
 */
export async function runStep(
  step: unknown,
  dependencies: FleetDependencies,
): Promise<FleetPlan | FleetReport> {
  const fields = asRecord(step);
  const run = asText(fields.run);
  if (!RUN.test(run)) throw fleetInvalid("run is no name of an execution.");
  const store = await openStore(readFleetBucket(), dependencies.deadline);
  if (fields.step === "prepare")
    return await prepare(run, fields.request, { ...dependencies, store });
  if (fields.step !== "report") throw fleetInvalid("step is neither prepare nor report.");
  const { Error: error, Cause: cause } = asRecord(fields.failed);
  const broken = fields.failed == null ? null : { error: asText(error), cause: asText(cause) };
  return await reportRun(
    run,
    { broken, byMachine: fields.plan != null, begun: isCount(fields.begun) ? fields.begun : null },
    { ...dependencies, store },
  );
}

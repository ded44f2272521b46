/*
 * Fleet: what a person does with the machine of a fleet. A verb and options come in; a run is started, followed, looked at
 * or gone on with, and an exit code goes out. Nothing here migrates: the machine calls the function, once for each tenant.
 * A run goes on in AWS whether this process lives or not.
 */

import { randomUUID } from "node:crypto";
import { MigratorError } from "../../lib/errors.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { provePages } from "../page.ts";
import { errorColors, printAnswer } from "../print.ts";
import { openSink, type Sink } from "../render/live.ts";
import { exitCodeOf, type FleetAnswer, type FleetVerb } from "./answer.ts";
import { type Cloud, openCloud } from "./cloud.ts";
import { follow } from "./follow.ts";
import { type InputOptions, readInput } from "./input.ts";
import { readLedger } from "./ledger.ts";
import { type FleetPages, keepFleetPages } from "./pages.ts";
import { renderFleet, renderFleetFailure } from "./render.ts";
import { reportOf } from "./report.ts";
import { Watcher } from "./sight.ts";
import { FleetView } from "./view.ts";

/** The options of `fleet`. */
export interface FleetOptions extends InputOptions, FleetPages {
  readonly verb: FleetVerb;
  readonly machine: string;
  /** The name of a run. */
  readonly run?: string;
  readonly bucket?: string;
  readonly wait: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** What of a call must be ended, however it ends. */
interface Call {
  cloud: Cloud | null;
  sink: Sink | null;
  /** The run that goes on when this process ends; null before one is started. */
  run: string | null;
}

/**
 * Does what the verb says, and prints the answer.
 * @returns the exit code
 */
export async function fleetCommand(options: FleetOptions): Promise<number> {
  const requestId = randomUUID();
  const call: Call = { cloud: null, sink: null, run: null };
  const work = answer(options, call).catch((thrown: unknown) => failedReport(requestId, thrown));
  const outcome = await untilEnded(work);
  call.sink?.end();
  call.cloud?.close();
  if (outcome instanceof Ending) {
    const report = failedReport(requestId, interruption(outcome, options, call));
    print(report, options);
    return outcome.exit(report);
  }
  print(outcome, options);
  if (!("machine" in outcome)) return EXIT_CODE.failed;
  return (await keepFleetPages(options, outcome)) ?? exitCodeOf(outcome);
}

async function answer(options: FleetOptions, call: Call): Promise<FleetAnswer> {
  await provePages(options);
  const { verb, machine } = options;
  const given = verb === "start" ? await readInput(options) : null;
  const cloud = await openCloud(machine);
  call.cloud = cloud;
  if (verb === "status") return await status(options, cloud);
  if (verb === "report") return await report(options, cloud);
  await refuseSecond(cloud);
  const input =
    given === null
      ? await inputOf(cloud, options.run)
      : await withList(given, options.bucket, cloud);
  const arn = await cloud.start(input, given === null ? undefined : options.run);
  call.run = arn.slice(arn.lastIndexOf(":") + 1);
  return await followed(arn, options, call, cloud);
}

async function followed(
  arn: string,
  { wait, quiet, json, machine }: FleetOptions,
  call: Call,
  cloud: Cloud,
): Promise<FleetAnswer> {
  const watcher = new Watcher(cloud, arn);
  const view = new FleetView(errorColors());
  call.sink = quiet || json || !wait ? null : await openSink(view);
  const { sight, described } = wait
    ? await follow(watcher, (seen) => call.sink?.write(view.saw(seen)))
    : await watcher.look(false);
  const made = sight.endedAt === null ? null : await reportOf(cloud, watcher, described);
  return { schemaVersion: 1, machine, run: sight, report: made, ledger: null };
}

/** Looks at the newest run, or the one that is named, and at the ledger of the fleet. */
async function status({ machine, run }: FleetOptions, cloud: Cloud): Promise<FleetAnswer> {
  const found = await findRun(cloud, run);
  if (found === null) return { schemaVersion: 1, machine, run: null, report: null, ledger: null };
  const watcher = new Watcher(cloud, found);
  const { sight, described } = await watcher.look(true);
  const [made, ledger] = await Promise.all([
    sight.endedAt === null ? null : keptReport(cloud, watcher, described),
    watcher.plan === null ? null : readLedger(cloud, watcher.plan.bucket),
  ]);
  return { schemaVersion: 1, machine, run: sight, report: made, ledger };
}

/** A status asks no function: a run that has no report yet is told without one. */
async function keptReport(
  ...[cloud, watcher, described]: Parameters<typeof reportOf>
): Promise<FleetReport | null> {
  return await reportOf(cloud, watcher, described, false);
}

async function report({ machine, run }: FleetOptions, cloud: Cloud): Promise<FleetAnswer> {
  const found = await findRun(cloud, run);
  if (found === null) throw neverRan(machine);
  const watcher = new Watcher(cloud, found);
  const { sight, described } = await watcher.look(false);
  if (sight.endedAt === null) {
    throw new MigratorError(
      "FLEET_RUNNING",
      `The run ${sight.run} is under way, and its report is made at its end. How far it is: neon-migrate fleet status --machine ${machine}`,
      { retryable: true },
    );
  }
  const made = await reportOf(cloud, watcher, described);
  return { schemaVersion: 1, machine, run: sight, report: made, ledger: null };
}

/** Two runs at a time would do the same work twice; the migrations themselves are safe by their locks. */
async function refuseSecond(cloud: Cloud): Promise<void> {
  const [other] = await cloud.runs(1, "RUNNING");
  if (other === undefined) return;
  throw new MigratorError(
    "FLEET_RUNNING",
    `The run ${other.name} is under way since ${other.startedAt.toISOString()}. Nothing was started. How far it is: neon-migrate fleet status --machine ${cloud.machine}`,
    { retryable: true },
  );
}

/** The input of the run that is named, or of the newest. */
async function inputOf(cloud: Cloud, run: string | undefined): Promise<string> {
  const found = await findRun(cloud, run);
  if (found === null) throw neverRan(cloud.machine);
  return (await cloud.describe(found)).input;
}

/** Brings a list that is too long for an input to the bucket. */
async function withList(
  { input, list }: Awaited<ReturnType<typeof readInput>>,
  bucket: string | undefined,
  cloud: Cloud,
): Promise<string> {
  if (list === null) return JSON.stringify(input);
  if (bucket === undefined) {
    throw new MigratorError(
      "FLEET_INVALID",
      "The list is longer than the input of a run may be. Name the fleet's bucket, to which it is brought: --bucket NAME. Nothing was started.",
    );
  }
  const key = `lists/${new Date().toISOString().replace(/[:.]/g, "-")}-${randomUUID().slice(0, 8)}.jsonl`;
  await cloud.write(bucket, key, list);
  return JSON.stringify({ ...input, targets: { s3: { bucket, key } } });
}

/** Finds a run by its name, or the newest. */
async function findRun(cloud: Cloud, name: string | undefined): Promise<string | null> {
  if (name !== undefined) {
    return `${cloud.machine.replace(":stateMachine:", ":execution:")}:${name}`;
  }
  const [last] = await cloud.runs(1);
  return last?.arn ?? null;
}

function neverRan(machine: string): MigratorError {
  return new MigratorError(
    "FLEET_NOT_FOUND",
    `${machine} has never run, or not in the last 90 days. Begin: neon-migrate fleet start --machine ${machine} --targets FILE`,
  );
}

/** The run belongs to AWS, and ends by itself. */
function interruption({ what }: Ending, { machine }: FleetOptions, { run }: Call): MigratorError {
  if (run === null) {
    return new MigratorError("INTERRUPTED", `${what} ended this command. It had started no run.`);
  }
  return new MigratorError(
    "INTERRUPTED",
    `${what} ended the waiting, not the run ${run}, which goes on. How far it is: neon-migrate fleet status --machine ${machine}. To stop it: aws stepfunctions stop-execution --execution-arn ${machine.replace(":stateMachine:", ":execution:")}:${run}`,
  );
}

function print(value: FleetAnswer | Report, { json, verb, quiet }: FleetOptions): void {
  if (!("machine" in value)) {
    printAnswer(json, {
      ...{ value, failed: true },
      text: (colors, width) => renderFleetFailure(value, { colors, width }),
    });
    return;
  }
  printAnswer(json, {
    ...{ value, failed: false },
    text: (colors, width) => renderFleet(value, { colors, width, verb, quiet }),
  });
}

import { randomUUID } from "node:crypto";
import type { MapState } from "./definition.ts";
import { Aborted, StateError, untilAborted } from "./errors.ts";
import { Execution, type Limits, MapRun, revive, stopExecution } from "./execution.ts";
import { type Evaluate, integer } from "./expressions.ts";
import { inlineItems, readItems } from "./item-reader.ts";
import { limitedJson } from "./limits.ts";
import { type Destination, destinationOf, manifestKey, writeResults } from "./result-writer.ts";
import type { Visit } from "./visit.ts";
import type { World } from "./world.ts";

/** Runs an execution to its end. */
type Run = (world: World, execution: Execution) => Promise<void>;

/** The most children at a time (developer guide, "MaxConcurrency"). */
const MAX_CONCURRENCY = 10_000;
/** So many succeeded children of a map keep their histories; failed ones always do. */
const KEPT_HISTORIES = 1_000;
const OVER_BUDGET = "States.ExceedToleratedFailureThreshold";
/** Behind these errors a redrive begins a map run anew (developer guide, "Redriving Map Runs"). */
const BEGUN_ANEW = [
  ...["States.ItemReaderFailed", "States.ResultWriterFailed", "States.DataLimitExceeded"],
  "States.QueryEvaluationError",
];

/**
 * Goes through the items of a Map, each in an execution of its own.
 * @returns the result of the Map
 */
export async function runDistributedMap(visit: Visit, state: MapState, run: Run): Promise<unknown> {
  const { execution, history } = visit;
  const redriven = takeRedriven(execution);
  const isInline = redriven === null && state.reader === null;
  const inline = isInline ? await inlineItems(visit, state) : null;
  history.add("MapStateStarted", { length: inline?.length ?? 0 });
  if (inline?.length === 0) {
    history.add("MapStateSucceeded");
    return [];
  }
  const mapRun = redriven ?? (await beginMapRun(visit, state));
  try {
    tellBeginning(visit, mapRun);
    if (redriven === null) mapRun.items = inline ?? (await itemsOf(visit, state));
    return await goThrough(visit, mapRun, run);
  } catch (thrown) {
    throw failed(visit, mapRun, thrown);
  }
}

function tellBeginning({ history }: Visit, { arn: mapRunArn, redriveCount }: MapRun): void {
  if (redriveCount === 0) history.add("MapRunStarted", { mapRunArn });
  else history.add("MapRunRedriven", { mapRunArn, redriveCount });
}

async function itemsOf(visit: Visit, { reader }: MapState): Promise<readonly unknown[]> {
  return reader === null ? [] : await readItems(visit, reader);
}

async function goThrough(visit: Visit, mapRun: MapRun, run: Run): Promise<unknown> {
  const { writer } = mapRun.state;
  const destination = writer === null ? null : destinationOf(await writer(visit.bindings()));
  const result = await new Journey(visit, mapRun, destination, run).go();
  conclude(visit.world, mapRun, "SUCCEEDED");
  visit.history.add("MapRunSucceeded");
  visit.history.add("MapStateSucceeded");
  return result;
}

/** Ends a map run that did not succeed. @returns the error of the Map */
function failed(visit: Visit, mapRun: MapRun, thrown: unknown): unknown {
  conclude(visit.world, mapRun, thrown instanceof Aborted ? "ABORTED" : "FAILED");
  const error = visit.located(thrown, mapRun.state);
  if (!(error instanceof StateError)) return error;
  mapRun.error = error.error;
  visit.history.add("MapRunFailed", { error: error.error, cause: error.reason ?? "" });
  return error;
}

function conclude({ clock }: World, mapRun: MapRun, status: MapRun["status"]): void {
  mapRun.status = status;
  mapRun.stopMs = clock.now();
}

/** Takes the map run that a redrive goes on with; null where a new one begins. */
function takeRedriven(execution: Execution): MapRun | null {
  const open = execution.openMapRun;
  execution.openMapRun = null;
  if (open === null || BEGUN_ANEW.includes(open.error ?? "")) return null;
  if (open.children.every((child) => child === undefined)) return null;
  open.redriveCount += 1;
  open.status = "RUNNING";
  open.stopMs = undefined;
  return open;
}

async function beginMapRun(visit: Visit, state: MapState): Promise<MapRun> {
  const { execution, world } = visit;
  const arn = `arn:aws:states:${world.region}:${world.account}:mapRun:${execution.machineName}/${state.label}:${randomUUID()}`;
  const startMs = world.clock.now();
  const limits = await limitsOf(visit, state);
  const mapRun = new MapRun({ arn, parent: execution, state, startMs, ...limits });
  execution.mapRuns.push(mapRun);
  return mapRun;
}

async function limitsOf(visit: Visit, state: MapState): Promise<Limits> {
  const number = async (field: Evaluate | null, name: string, isWhole: boolean) => {
    if (field === null) return null;
    const value = await field(visit.bindings());
    const computed = isWhole || typeof value !== "number" ? integer(value, name) : value;
    if (computed >= 0) return computed;
    const cause = `${visit.place(state.name)} ${name} cannot be negative.`;
    throw new StateError("States.Runtime", cause, { isTerminal: true });
  };
  const concurrency = await number(state.maxConcurrency, "MaxConcurrency", true);
  const count = await number(state.toleratedCount, "ToleratedFailureCount", true);
  const percentage = await number(state.toleratedPercentage, "ToleratedFailurePercentage", false);
  const byDefault = Number.POSITIVE_INFINITY;
  return {
    maxConcurrency: Math.min(concurrency || MAX_CONCURRENCY, MAX_CONCURRENCY),
    toleratedCount: count ?? (percentage === null ? 0 : byDefault),
    toleratedPercentage: percentage ?? byDefault,
  };
}

/** One way through the items that are left. */
class Journey {
  readonly #visit: Visit;
  readonly #mapRun: MapRun;
  readonly #writer: Destination | null;
  readonly #run: Run;
  /** The places of the items that are still to be begun. */
  readonly #left: number[];
  #failures = 0;
  #kept = 0;
  #isEnding = false;

  constructor(visit: Visit, mapRun: MapRun, writer: Destination | null, run: Run) {
    this.#visit = visit;
    this.#mapRun = mapRun;
    this.#writer = writer;
    this.#run = run;
    const places = mapRun.items.map((_, index) => index);
    this.#left = places.filter((index) => mapRun.children[index]?.status !== "SUCCEEDED").reverse();
  }

  async go(): Promise<unknown> {
    const { signal, world } = this.#visit;
    let fail: (reason: unknown) => void = () => undefined;
    const over = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const lanes = Math.min(this.#mapRun.limits.maxConcurrency, this.#left.length);
    const all = Promise.all(Array.from({ length: lanes }, () => this.#lane(fail)));
    const written = all.then(() => this.#write(world));
    // A map that has failed is left by its machine at once; its children end, and its results are written, behind that.
    this.#mapRun.finished = written.then(nothing, nothing);
    const stop = () => this.#stopChildren();
    signal.addEventListener("abort", stop, { once: true });
    const result = await untilAborted(Promise.race([written, over]), signal);
    signal.removeEventListener("abort", stop);
    return result;
  }

  /** Takes one item after the other. */
  async #lane(fail: (reason: unknown) => void): Promise<void> {
    for (let index = this.#left.pop(); index !== undefined; index = this.#left.pop()) {
      try {
        await this.#goThrough(index);
      } catch (thrown) {
        this.#isEnding = true;
        fail(thrown);
      }
      if (this.#isEnding) return;
    }
  }

  async #goThrough(index: number): Promise<void> {
    const { world } = this.#visit;
    const begun = this.#mapRun.children[index];
    const child = begun ?? (await this.#newChild(index));
    if (begun !== undefined) revive(begun);
    child.ended = this.#run(world, child);
    await child.ended;
    if (child.status === "SUCCEEDED") this.#keepOrForget(child);
    if (child.status !== "FAILED" || this.#isEnding) return;
    this.#failures += 1;
    if (!this.#mapRun.isOver(this.#failures)) return;
    if (world.overBudget === "abort") this.#stopChildren();
    throw new StateError(OVER_BUDGET, "The specified tolerated failure threshold was exceeded");
  }

  /** Ten thousand histories would take a hundred megabytes. */
  #keepOrForget({ history }: Execution): void {
    this.#kept += 1;
    if (this.#kept > KEPT_HISTORIES) history.forget();
  }

  async #newChild(index: number): Promise<Execution> {
    const { world, execution } = this.#visit;
    const { arn, state, children } = this.#mapRun;
    const inputText = await this.#inputOf(index);
    const name = randomUUID();
    const machineName = `${execution.machineName}/${state.label}`;
    const child = new Execution({
      arn: `arn:aws:states:${world.region}:${world.account}:execution:${machineName}:${name}`,
      ...{ name, machineName, inputText, mapRunArn: arn },
      machineArn: `${execution.machineArn}/${state.label}`,
      machine: state.processor,
      input: JSON.parse(inputText),
      now: world.clock.now,
      maxEvents: world.maxEvents,
    });
    children[index] = child;
    world.register(child);
    return child;
  }

  async #inputOf(index: number): Promise<string> {
    const { selector, name } = this.#mapRun.state;
    const Value = this.#mapRun.items[index];
    if (selector === null) return limitedJson(Value, name, { isTerminal: false });
    const context = { Map: { Item: { Index: index, Value } } };
    const input = await selector(this.#visit.bindings({}, context));
    return limitedJson(input, name, { isTerminal: false });
  }

  #stopChildren(): void {
    this.#isEnding = true;
    const { clock } = this.#visit.world;
    for (const child of this.#mapRun.children) {
      if (child?.status === "RUNNING") stopExecution(child, clock.now());
    }
  }

  async #write(world: World): Promise<unknown> {
    const outputs = this.#mapRun.children.filter((child) => child?.status === "SUCCEEDED");
    if (this.#writer === null) {
      const list = outputs.map((child) => child?.output);
      limitedJson(list, this.#mapRun.state.name, { isTerminal: false });
      return list;
    }
    const key = manifestKey(this.#mapRun, this.#writer);
    const isLost = world.losses.count > 0;
    world.losses.count -= isLost ? 1 : 0;
    if (!isLost) writeResults(world, this.#mapRun, this.#writer, await this.#pending());
    const ResultWriterDetails = { Bucket: this.#writer.bucket, Key: key };
    return { MapRunArn: this.#mapRun.arn, ResultWriterDetails };
  }

  async #pending(): Promise<readonly string[]> {
    const inputs: string[] = [];
    for (const [index] of this.#mapRun.items.entries()) {
      if (this.#mapRun.children[index] === undefined) inputs.push(await this.#inputOf(index));
    }
    return inputs;
  }
}

function nothing(): void {
  // Nobody waits for it.
}

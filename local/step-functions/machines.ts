import { randomUUID } from "node:crypto";
import { parseJson } from "../../lib/json.ts";
import { ApiError } from "./api-error.ts";
import { type Machine, readDefinition } from "./definition.ts";
import { Execution, type MapRun, revive, stopExecution } from "./execution.ts";
import { MAX_BYTES } from "./limits.ts";

import { runExecution } from "./run-states.ts";
import type { World } from "./world.ts";

/** What a machine needs. */
interface MachinesOptions {
  readonly name: string;
  readonly arn: string;
  readonly world: (register: World["register"]) => World;
}

/** The time in which an execution may be redriven, from its end (developer guide, "Redriving executions"). */
const REDRIVABLE_MS = 14 * 86_400_000;
const NAME = /^[^\s?*<>{}[\]:;,\\|^~$#%&`"/\p{Cc}]{1,80}$/u;

/** A state machine, its executions and their children. */
export class Machines {
  readonly name: string;
  readonly arn: string;
  readonly world: World;
  #machine: Machine = { startAt: "", states: new Map() };
  readonly #executions = new Map<string, Execution>();
  readonly #children = new Map<string, Execution>();

  constructor({ name, arn, world }: MachinesOptions) {
    this.name = name;
    this.arn = arn;
    this.world = world((child) => {
      this.#children.set(child.arn, child);
    });
  }

  update(definition: unknown, substitutions: Readonly<Record<string, string>> = {}): void {
    this.#machine = readDefinition(substituted(definition, substitutions));
  }

  executions(): readonly Execution[] {
    return [...this.#executions.values()].reverse();
  }

  /** Finds an execution or a child. @throws ApiError `ExecutionDoesNotExist` */
  find(arn: string): Execution {
    const found = this.#executions.get(arn) ?? this.#children.get(arn);
    if (found !== undefined) return found;
    throw new ApiError("ExecutionDoesNotExist", `Execution Does Not Exist: '${arn}'`);
  }

  /** Finds a map run. @throws ApiError `ResourceNotFound` */
  findMapRun(arn: string): MapRun {
    const runs = this.executions().flatMap(({ mapRuns }) => mapRuns);
    const found = runs.find((each) => each.arn === arn);
    if (found !== undefined) return found;
    throw new ApiError("ResourceNotFound", `Resource not found: '${arn}'`);
  }

  start(inputText: string, name: string = randomUUID()): Execution {
    const input = inputOf(inputText);
    if (!NAME.test(name)) throw new ApiError("InvalidName", `Invalid Name: '${name}'`);
    const arn = `${this.arn.replace(":stateMachine:", ":execution:")}:${name}`;
    const known = this.#executions.get(arn);
    if (known !== undefined) return sameStart(known, inputText);
    const execution = new Execution({
      ...{ arn, name, machine: this.#machine, input, inputText },
      ...{ machineArn: this.arn, machineName: this.name },
      now: this.world.clock.now,
      maxEvents: this.world.maxEvents,
    });
    const { roleArn } = this.world;
    const details = { input: inputText, inputDetails: { truncated: false }, roleArn };
    execution.history.add("ExecutionStarted", details);
    this.#executions.set(arn, execution);
    this.#run(execution);
    return execution;
  }

  stop(
    execution: Execution,
    words: { readonly error?: string; readonly cause?: string } = {},
  ): void {
    if (execution.status !== "RUNNING") return;
    execution.openMapRun = openMapRun(execution);
    stopExecution(execution, this.world.clock.now(), words);
  }

  redrive(execution: Execution): void {
    const reason = this.notRedrivable(execution);
    if (reason !== null) throw new ApiError("ExecutionNotRedrivable", reason);
    const open = execution.openMapRun ?? openMapRun(execution);
    execution.openMapRun = open;
    const now = this.world.clock.now();
    if (open !== null) open.redriveMs = now;
    revive(execution);
    const before = open?.finished ?? Promise.resolve();
    execution.ended = before.then(() => runExecution(this.world, execution));
  }

  /** The service's reason for not redriving an execution; null where it would. */
  notRedrivable({ status, stopMs = 0, mapRunArn }: Execution): string | null {
    if (mapRunArn !== undefined) return "Execution can be redriven by its map run only";
    if (status === "SUCCEEDED" || status === "RUNNING") {
      return `Execution is ${status} and cannot be redriven`;
    }
    return this.world.clock.now() - stopMs > REDRIVABLE_MS
      ? "Execution has ended more than 14 days ago and cannot be redriven"
      : null;
  }

  async idle(): Promise<void> {
    for (const execution of this.executions()) {
      await execution.ended;
      for (const { finished } of execution.mapRuns) await finished;
    }
  }

  #run(execution: Execution): void {
    execution.ended = runExecution(this.world, execution);
  }
}

/** Finds the map run of the state that an execution has not left; null where it is in another state. */
function openMapRun({ machine, position, mapRuns }: Execution): MapRun | null {
  const last = mapRuns.at(-1);
  const state = machine.states.get(position?.state ?? "");
  // The same state may have had map runs before: the last one is open unless it was left.
  return last !== undefined && last.state === state && last.status !== "SUCCEEDED" ? last : null;
}

/** Starting the same again is no error while it runs. */
function sameStart(known: Execution, inputText: string): Execution {
  if (known.status === "RUNNING" && known.inputText === inputText) return known;
  throw new ApiError("ExecutionAlreadyExists", `Execution Already Exists: '${known.arn}'`);
}

function inputOf(text: string): unknown {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    const words = `1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to ${MAX_BYTES}`;
    throw new ApiError("ValidationException", words);
  }
  const input = parseJson(text);
  if (input !== undefined) return input;
  const words = "Invalid State Machine Execution Input: 'Unrecognized token'";
  throw new ApiError("InvalidExecutionInput", words);
}

/** Puts the values of `${Name}` into the texts of a definition. */
function substituted(value: unknown, values: Readonly<Record<string, string>>): unknown {
  const text = JSON.stringify(value);
  const filled = Object.entries(values).reduce(
    (filling, [name, each]) => filling.replaceAll(`\${${name}}`, JSON.stringify(each).slice(1, -1)),
    text,
  );
  return JSON.parse(filled);
}

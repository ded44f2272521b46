import type { ChoiceState, FailState, MapState, State, TaskState } from "./definition.ts";
import { runDistributedMap } from "./distributed-map.ts";
import { Aborted, StateError } from "./errors.ts";
import type { Execution } from "./execution.ts";
import { type Bindings, integer, QueryError } from "./expressions.ts";
import { type Attempts, catcherOf, retryDelayMs } from "./retry.ts";
import { invokeFunction } from "./task.ts";
import { Visit } from "./visit.ts";
import type { World } from "./world.ts";

/** The end of a state: its output, the next state, and the variables from here on. */
interface Left {
  readonly output: unknown;
  readonly next: string | null;
  readonly variables: Bindings;
}

/** Runs an execution from its position to its end. Its status, error and output are set then. */
export async function runExecution(world: World, execution: Execution): Promise<void> {
  try {
    for (let position = execution.position; position !== null; position = execution.position) {
      const visit = new Visit(world, execution, position);
      const { output, next, variables } = await runState(visit, stateAt(execution, position.state));
      if (next === null) return succeed(world, execution, output);
      execution.position = { state: next, input: output, variables };
    }
  } catch (thrown) {
    end(world, execution, thrown);
  }
}

function stateAt(execution: Execution, name: string): State {
  const state = execution.machine.states.get(name);
  if (state === undefined) throw new Error(`There is no state ${name}.`);
  return state;
}

function succeed(world: World, execution: Execution, output: unknown): void {
  execution.outputText = JSON.stringify(output) ?? "null";
  execution.status = "SUCCEEDED";
  execution.stopMs = world.clock.now();
  execution.position = null;
  const { outputText } = execution;
  execution.history.end("ExecutionSucceeded", { output: outputText, outputDetails: WHOLE });
}

const WHOLE = { truncated: false };

function end(world: World, execution: Execution, thrown: unknown): void {
  // Whoever stopped it has said so in the history already.
  if (thrown instanceof Aborted || execution.status !== "RUNNING") return;
  const { error, reason } =
    thrown instanceof StateError ? thrown : new StateError("States.Runtime", String(thrown));
  execution.status = "FAILED";
  execution.stopMs = world.clock.now();
  if (error !== "") execution.error = error;
  if (reason !== undefined) execution.cause = reason;
  execution.history.end("ExecutionFailed", {
    ...(error === "" ? {} : { error }),
    ...(reason === undefined ? {} : { cause: reason }),
  });
}

async function runState(visit: Visit, state: State): Promise<Left> {
  visit.enter(state);
  try {
    const left = await carryOut(visit, state);
    visit.exit(state, left.output, left.assigned);
    return { ...left, variables: { ...visit.variables, ...left.assigned } };
  } catch (thrown) {
    throw visit.located(thrown, state);
  }
}

/** What a state came to. */
interface Outcome {
  readonly output: unknown;
  readonly assigned: Bindings | undefined;
  readonly next: string | null;
}

async function carryOut(visit: Visit, state: State): Promise<Outcome> {
  switch (state.type) {
    case "Task":
      return await tried(visit, state, (retry) => invokeFunction(visit, state, retry));
    case "Map":
      return await tried(visit, state, () => runDistributedMap(visit, state, runExecution));
    case "Choice":
      return await choose(visit, state);
    case "Wait": {
      const seconds = await waitOf(state.seconds(visit.bindings()));
      await visit.world.clock.sleep(seconds * 1_000, visit.signal);
      return await visit.leave(state);
    }
    case "Fail":
      throw await failureOf(visit, state);
    default:
      return await visit.leave(state);
  }
}

/** The longest wait: a year (developer guide, "Wait"). */
const MAX_WAIT_SECONDS = 99_999_999;

async function waitOf(computed: unknown): Promise<number> {
  const seconds = integer(await computed, "Seconds");
  if (seconds >= 0 && seconds <= MAX_WAIT_SECONDS) return seconds;
  throw new QueryError("Seconds", `The Seconds field has a value that is out of range: ${seconds}`);
}

async function choose(visit: Visit, state: ChoiceState): Promise<Outcome> {
  for (const [n, choice] of state.choices.entries()) {
    const holds = await choice.condition(visit.bindings());
    if (typeof holds !== "boolean") {
      const location = `Choices[${n}]/Condition`;
      throw new QueryError(
        location,
        `The JSONata expression specified for the field '${location}' returned an unexpected result type. Expected 'boolean', but was '${typeof holds}' for value: ${JSON.stringify(holds)}`,
      );
    }
    if (holds) return await visit.leave(choice);
  }
  if (state.next !== null) return await visit.leave(state);
  const words = `Failed to transition out of the state. The state '${state.name}' has no Default, and none of its choices holds.`;
  throw new StateError("States.NoChoiceMatched", words);
}

async function failureOf(visit: Visit, { name, error, cause }: FailState): Promise<StateError> {
  const words = async (field: FailState["error"]) => {
    const value = await field?.(visit.bindings());
    if (value === undefined || typeof value === "string") return value;
    throw new QueryError(
      "Cause",
      `The Fail state '${name}' needs a text, not ${JSON.stringify(value)}`,
    );
  };
  return new StateError((await words(error)) ?? "", await words(cause));
}

/** Carries a state out until it succeeds, or until no Retry and no Catch takes its error. */
async function tried(
  visit: Visit,
  state: TaskState | MapState,
  perform: (retryCount: number) => Promise<unknown>,
): Promise<Outcome> {
  const attempts: Attempts = new Map();
  for (let retryCount = 0; ; retryCount += 1) {
    try {
      return await visit.leave(state, { result: await perform(retryCount) });
    } catch (thrown) {
      const error = visit.located(thrown, state);
      if (!(error instanceof StateError) || error.isTerminal) throw error;
      const delayMs = retryDelayMs(state.retry, error, attempts, visit.world.random);
      if (delayMs === null) return await caught(visit, state, error);
      visit.world.billed.transitions += 1;
      await visit.world.clock.sleep(delayMs, visit.signal);
    }
  }
}

async function caught(
  visit: Visit,
  state: TaskState | MapState,
  error: StateError,
): Promise<Outcome> {
  if (state.type === "Map") visit.history.add("MapStateFailed");
  const catcher = catcherOf(state.catch, error);
  if (catcher === undefined) throw error;
  const errorOutput = error.output;
  return await visit.leave(catcher, { errorOutput }, errorOutput);
}

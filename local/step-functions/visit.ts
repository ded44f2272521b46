import type { Flow, State } from "./definition.ts";
import { StateError } from "./errors.ts";
import type { Execution, Position } from "./execution.ts";
import { type Bindings, QueryError } from "./expressions.ts";
import type { History } from "./history.ts";
import { limitedJson } from "./limits.ts";
import type { World } from "./world.ts";

/** What an expression may see beside input and context. */
export interface Seen {
  readonly result?: unknown;
  readonly errorOutput?: unknown;
}

const WHOLE = { truncated: false };
/** Steps from state to state that have no events of their own in the history. */
const EXITLESS = ["Fail"];

/** One state of one execution, from its beginning to its end. */
export class Visit {
  readonly world: World;
  readonly execution: Execution;
  readonly input: unknown;
  readonly variables: Bindings;
  #enteredMs = 0;
  #enteredId = 0;
  #context: object | undefined;
  readonly #name: string;

  constructor(world: World, execution: Execution, { state, input, variables }: Position) {
    this.world = world;
    this.execution = execution;
    this.input = input;
    this.variables = variables;
    this.#name = state;
  }

  get history(): History {
    return this.execution.history;
  }

  get signal(): AbortSignal {
    return this.execution.abort.signal;
  }

  enter({ name, type }: State): void {
    this.#enteredMs = this.world.clock.now();
    this.world.billed.transitions += 1;
    const input = limitedJson(this.input, name);
    const details = { name, input, inputDetails: WHOLE };
    this.#enteredId = this.history.add(`${type}StateEntered`, details);
  }

  exit({ name, type }: State, output: unknown, assigned: Bindings | undefined): void {
    if (EXITLESS.includes(type)) return;
    const texts = Object.entries(assigned ?? {}).map(([key, value]) => [
      key,
      JSON.stringify(value),
    ]);
    const variables = assigned === undefined ? {} : ASSIGNED(Object.fromEntries(texts));
    const details = { name, output: limitedJson(output, name), outputDetails: WHOLE, ...variables };
    // The end of a Map follows what its success follows.
    const last = this.history.events.at(-1);
    const previous = last?.type === "MapStateSucceeded" ? last.previousEventId : undefined;
    this.history.add(`${type}StateExited`, details, previous);
  }

  /** The names that the expressions of this state see. */
  bindings(seen: Seen = {}, context: object = {}): Bindings {
    return {
      ...this.variables,
      states: { input: this.input, context: { ...this.context(), ...context }, ...seen },
    };
  }

  /** The context object; a task's has the number of its retries. */
  context(retryCount?: number): object {
    const { execution, world } = this;
    const State = { Name: this.#name, EnteredTime: new Date(this.#enteredMs).toISOString() };
    this.#context ??= {
      Execution: {
        Id: execution.arn,
        Input: JSON.parse(execution.inputText),
        StartTime: new Date(execution.startMs).toISOString(),
        Name: execution.name,
        RoleArn: world.roleArn,
        RedriveCount: execution.redriveCount,
      },
      StateMachine: { Id: execution.machineArn, Name: execution.machineName },
      State,
    };
    if (retryCount === undefined) return this.#context;
    return { ...this.#context, State: { ...State, RetryCount: retryCount } };
  }

  /** Computes what a state, a choice or a catch leaves behind. */
  async leave({ output, assign, next }: Flow, seen: Seen = {}, byDefault?: unknown) {
    const bindings = this.bindings(seen);
    const plain = byDefault ?? ("result" in seen ? seen.result : this.input);
    const assigned = assign === null ? undefined : variablesIn(await assign(bindings));
    if (assigned !== undefined) limitedJson(assigned, this.#name);
    return { output: output === null ? plain : await output(bindings), assigned, next };
  }

  /** Says of an error that has no place yet in which state it came up. */
  located(thrown: unknown, { name }: State): unknown {
    if (!(thrown instanceof QueryError)) return thrown;
    const cause = `${this.place(name)} ${thrown.reason ?? ""}`;
    const { error, location } = thrown;
    this.history.add("EvaluationFailed", { cause, error, location, state: name });
    return new StateError(error, cause);
  }

  /** The beginning of the service's words for an error inside of a state. */
  place(name: string): string {
    return `${PLACE} '${name}' (entered at the event id #${this.#enteredId}).`;
  }
}

const PLACE = "An error occurred while executing the state";

const ASSIGNED = (assignedVariables: object) => ({
  assignedVariables,
  assignedVariablesDetails: WHOLE,
});

function variablesIn(value: unknown): Bindings {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

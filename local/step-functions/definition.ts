import { InvalidDefinition, NotStoodIn } from "./errors.ts";
import type { Evaluate } from "./expressions.ts";
import { Fields } from "./fields.ts";
import { type Distribution, readDistribution } from "./read-map.ts";

/** A state machine, or the one inside of a Map. */
export interface Machine {
  readonly startAt: string;
  readonly states: ReadonlyMap<string, State>;
}

/** What a state does at its end: the fields that all but Fail have. */
export interface Flow {
  /** Null: the result, or the input of a state without one. */
  readonly output: Evaluate | null;
  readonly assign: Evaluate | null;
  /** Null: the machine ends here. */
  readonly next: string | null;
}

/** One entry of a Retry. */
export interface Retrier {
  readonly errorEquals: readonly string[];
  readonly intervalSeconds: number;
  readonly backoffRate: number;
  readonly maxAttempts: number;
  readonly maxDelaySeconds: number;
  /** Whether a delay is drawn between 0 and what it would be. */
  readonly jitter: boolean;
}

/** One entry of a Catch. */
export interface Catcher extends Flow {
  readonly errorEquals: readonly string[];
}

/** The states that may fail, and try again. */
interface Tried extends Flow {
  readonly name: string;
  readonly retry: readonly Retrier[];
  readonly catch: readonly Catcher[];
}

export interface TaskState extends Tried {
  readonly type: "Task";
  readonly arguments: Evaluate | null;
  readonly timeoutSeconds: Evaluate | null;
}

export interface MapState extends Tried, Distribution {
  readonly type: "Map";
  readonly processor: Machine;
}

export interface ChoiceState extends Flow {
  readonly name: string;
  readonly type: "Choice";
  readonly choices: readonly (Flow & { readonly condition: Evaluate })[];
}

export interface WaitState extends Flow {
  readonly name: string;
  readonly type: "Wait";
  readonly seconds: Evaluate;
}

export interface PlainState extends Flow {
  readonly name: string;
  readonly type: "Pass" | "Succeed";
}

export interface FailState {
  readonly name: string;
  readonly type: "Fail";
  readonly error: Evaluate | null;
  readonly cause: Evaluate | null;
}

export type State = TaskState | MapState | ChoiceState | WaitState | PlainState | FailState;

const COMMON = ["Type", "Comment", "QueryLanguage"];
const FLOW = [...COMMON, "Output", "Assign", "Next", "End"];
const TRIED = [...FLOW, "Retry", "Catch"];
const RESOURCE = "arn:aws:states:::lambda:invoke";

const READERS: Readonly<Record<string, (name: string, fields: Fields) => State>> = {
  Task: readTask,
  Map: readMap,
  Choice: readChoice,
  Wait: readWait,
  Pass: (name, fields) => {
    fields.allow(FLOW);
    return { name, type: "Pass", ...flowOf(fields) };
  },
  Succeed: (name, fields) => {
    fields.allow([...COMMON, "Output"]);
    return { name, type: "Succeed", output: fields.template("Output"), assign: null, next: null };
  },
  Fail: (name, fields) => {
    fields.allow([...COMMON, "Error", "Cause"]);
    const error = fields.template("Error");
    return { name, type: "Fail", error, cause: fields.template("Cause") };
  },
};

/**
 * Reads a whole definition, and compiles its expressions.
 * @throws NotStoodIn, which names the part of the definition
 * @throws InvalidDefinition for what the service refuses, as far as this stand-in looks; `asl-validator` looks closer
 */
export function readDefinition(definition: unknown): Machine {
  const fields = new Fields("The definition", definition);
  fields.allow(["Comment", "QueryLanguage", "Version", "StartAt", "States"]);
  const language = fields.has("QueryLanguage") ? fields.text("QueryLanguage") : "JSONPath";
  if (language !== "JSONata") throw new NotStoodIn(`QueryLanguage ${language}`);
  return readMachine(fields, "");
}

function readMachine(fields: Fields, prefix: string): Machine {
  const listed = fields.object("States");
  const states = new Map(
    listed.names().map((name) => {
      const state = new Fields(`${prefix}${name}`, listed.value(name));
      if (state.has("QueryLanguage")) state.only("QueryLanguage", "JSONata");
      const type = state.text("Type");
      const read = READERS[type];
      if (read === undefined) throw new NotStoodIn(`${state.path}: the type ${type}`);
      return [name, read(name, state)] as const;
    }),
  );
  const machine = { startAt: fields.text("StartAt"), states };
  for (const { from, to } of transitionsOf(machine)) {
    if (!states.has(to)) throw new InvalidDefinition(from, `there is no state ${to}.`);
  }
  return machine;
}

function transitionsOf({ startAt, states }: Machine): readonly { from: string; to: string }[] {
  const steps = [...states.values()].flatMap((state) => {
    const flows =
      state.type === "Fail"
        ? []
        : [state, ...("catch" in state ? state.catch : "choices" in state ? state.choices : [])];
    return flows.flatMap(({ next }) => (next === null ? [] : [{ from: state.name, to: next }]));
  });
  return [{ from: "StartAt", to: startAt }, ...steps];
}

function flowOf(fields: Fields): Flow {
  const ends = fields.value("End") === true;
  if (ends === fields.has("Next")) {
    throw new InvalidDefinition(fields.path, "either Next or End is expected.");
  }
  return { ...effectsOf(fields), next: ends ? null : fields.text("Next") };
}

function effectsOf(fields: Fields): Pick<Flow, "output" | "assign"> {
  return { output: fields.template("Output"), assign: fields.template("Assign") };
}

function readTask(name: string, fields: Fields): TaskState {
  fields.allow([...TRIED, "Resource", "Arguments", "TimeoutSeconds"]);
  fields.only("Resource", RESOURCE);
  return {
    ...{ name, type: "Task", ...triedOf(fields) },
    arguments: fields.template("Arguments"),
    timeoutSeconds: fields.template("TimeoutSeconds"),
  };
}

function readMap(name: string, fields: Fields): MapState {
  const distribution = readDistribution(fields, TRIED);
  const processor = fields.object("ItemProcessor");
  processor.allow(["ProcessorConfig", "StartAt", "States", "Comment"]);
  return {
    ...{ name, type: "Map", ...triedOf(fields), ...distribution },
    processor: readMachine(processor, `${fields.path}.ItemProcessor.`),
  };
}

function readChoice(name: string, fields: Fields): ChoiceState {
  fields.allow([...COMMON, "Output", "Assign", "Choices", "Default"]);
  const choices = fields.list("Choices").map((choice) => {
    choice.allow(["Comment", "Condition", "Next", "Output", "Assign"]);
    const condition = choice.template("Condition");
    if (condition === null) throw new InvalidDefinition(choice.path, "a Condition is expected.");
    return { condition, ...effectsOf(choice), next: choice.text("Next") };
  });
  const next = fields.has("Default") ? fields.text("Default") : null;
  return { name, type: "Choice", choices, ...effectsOf(fields), next };
}

function readWait(name: string, fields: Fields): WaitState {
  fields.allow([...FLOW, "Seconds"]);
  const seconds = fields.template("Seconds");
  if (seconds === null) throw new InvalidDefinition(fields.path, "Seconds are expected.");
  return { name, type: "Wait", seconds, ...flowOf(fields) };
}

function triedOf(fields: Fields): Omit<Tried, "name"> {
  return {
    ...flowOf(fields),
    retry: fields.list("Retry").map(readRetrier),
    catch: fields.list("Catch").map(readCatcher),
  };
}

function readRetrier(fields: Fields): Retrier {
  fields.allow([
    ...["ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds"],
    ...["JitterStrategy", "Comment"],
  ]);
  if (fields.has("JitterStrategy")) fields.only("JitterStrategy", "FULL", "NONE");
  return {
    errorEquals: errorsIn(fields),
    intervalSeconds: fields.number("IntervalSeconds", 1, 1),
    backoffRate: fields.number("BackoffRate", 2, 1),
    maxAttempts: fields.number("MaxAttempts", 3, 0),
    maxDelaySeconds: fields.number("MaxDelaySeconds", Number.POSITIVE_INFINITY, 1),
    jitter: fields.value("JitterStrategy") === "FULL",
  };
}

function readCatcher(fields: Fields): Catcher {
  fields.allow(["ErrorEquals", "Next", "Output", "Assign", "Comment"]);
  return { errorEquals: errorsIn(fields), ...effectsOf(fields), next: fields.text("Next") };
}

function errorsIn(fields: Fields): readonly string[] {
  const errors = fields.texts("ErrorEquals");
  if (errors.includes("States.ALL") && errors.length > 1) {
    throw new InvalidDefinition(fields.path, "States.ALL stands alone.");
  }
  return errors;
}

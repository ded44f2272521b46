import { ObjectStore } from "../../local/s3/store.ts";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import type { Execution } from "../../local/step-functions/execution.ts";
import {
  type LocalStepFunctions,
  type StepFunctionsOptions,
  startStepFunctions,
} from "../../local/step-functions/step-functions.ts";
import type { Invoke, InvokeAnswer } from "../../local/step-functions/world.ts";

export const BUCKET = "fleet";
export const FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:migrate:7";

/** A machine with a stub for its function, and a bucket without a network. Its pauses take no time. */
export interface TestMachine extends LocalStepFunctions {
  readonly store: ObjectStore;
  /** Starts an execution, and waits for its end and for that of all its children. */
  run(input?: unknown): Promise<Execution>;
}

const machines: LocalStepFunctions[] = [];

/** Starts a machine with these states. The first one is the beginning. */
export async function startMachine(
  states: object,
  options: Partial<StepFunctionsOptions> & { readonly store?: ObjectStore } = {},
): Promise<TestMachine> {
  const definition = { QueryLanguage: "JSONata", StartAt: Object.keys(states)[0], States: states };
  return await startTestMachine({ definition, ...options });
}

/** Starts any machine. */
export async function startTestMachine({
  store = new ObjectStore([BUCKET]),
  ...options
}: Partial<StepFunctionsOptions> & {
  readonly definition: unknown;
  readonly store?: ObjectStore;
}): Promise<TestMachine> {
  const machine = await startStepFunctions({
    invoke: stub(() => returns(null)),
    clock: jumpingClock(),
    s3: store,
    ...options,
  });
  machines.push(machine);
  const run = async (input: unknown = {}) => {
    const execution = machine.start(input);
    await machine.idle();
    return execution;
  };
  return { ...machine, store, run };
}

/** Ends the machines of a test file. */
export async function endMachines(): Promise<void> {
  for (const machine of machines.splice(0)) await machine.shutDown();
}

/** Makes a function of an answer, or of an error of Lambda's own. */
export function stub(answer: (payload: unknown, functionName: string) => InvokeAnswer): Invoke {
  return (functionName, payload) =>
    new Promise((resolve) => {
      resolve(answer(payload, functionName));
    });
}

/** What a function returns. */
export function returns(payload: unknown): InvokeAnswer {
  return { payload, functionError: null };
}

/** What Lambda returns for a function that threw. */
export function throws(errorType: string, errorMessage = "said no"): InvokeAnswer {
  return { payload: { errorType, errorMessage, trace: [] }, functionError: "Unhandled" };
}

/** The types of an execution's events, without the words that all of a state have in common. */
export function eventsOf({ history }: Execution): string {
  return history.events.map(({ type }) => type).join(" ");
}

/** The details of the first event of a type. */
export function detailsOf({ history }: Execution, type: string): Readonly<Record<string, unknown>> {
  const event = history.events.find((each) => each.type === type);
  const details = Object.entries(event ?? {}).find(([name]) => name.endsWith("EventDetails"));
  return Object(details?.[1]);
}

/** A task that calls the stub with a payload. */
export function task(more: object, payload: unknown = "{% $states.input %}"): object {
  return {
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke",
    Arguments: { FunctionName: FUNCTION, Payload: payload },
    ...more,
  };
}

/** A distributed Map whose children call the stub with their item. */
export function map(more: object, processor: object = { Call: task({ End: true }) }): object {
  return {
    Type: "Map",
    Label: "wave",
    ItemProcessor: {
      ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
      StartAt: Object.keys(processor)[0],
      States: processor,
    },
    ...more,
  };
}

/** The reader of a file with a line for each item. */
export const READER = {
  Resource: "arn:aws:states:::s3:getObject",
  ReaderConfig: { InputType: "JSONL" },
  Arguments: { Bucket: BUCKET, Key: "list.jsonl" },
};

/** The writer of result files. */
export const WRITER = {
  Resource: "arn:aws:states:::s3:putObject",
  WriterConfig: { Transformation: "NONE", OutputType: "JSON" },
  Arguments: { Bucket: BUCKET, Prefix: "results" },
};

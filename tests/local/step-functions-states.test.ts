import { afterAll, describe, expect, test } from "vitest";
import { LambdaRefusal } from "../../local/step-functions/invoke.ts";
import type { InvokeAnswer } from "../../local/step-functions/world.ts";
import {
  detailsOf,
  endMachines,
  eventsOf,
  returns,
  startMachine,
  stub,
  task,
  throws,
} from "../setup/state-machine.ts";

/*
 * The histories are those of real executions, as LocalStack's tests have recorded them on AWS
 * (tests/aws/services/stepfunctions/v2, 8b9a79f), with states of our own.
 */

afterAll(endMachines);

const END = { Type: "Succeed" };
const TASK = "TaskStateEntered TaskScheduled TaskStarted";

interface Case {
  readonly states: object;
  readonly input?: unknown;
  readonly answers?: readonly (InvokeAnswer | Error)[];
  /** The events between the beginning and the end. */
  readonly events: string;
  readonly output?: unknown;
  readonly error?: string | undefined;
  readonly cause?: unknown;
}

const LARGE = "ä".repeat(140_000);
const TOO_LARGE = (by: string) =>
  `The state/task '${by}' returned a result with a size exceeding the maximum number of bytes service limit.`;
const IN_STATE = (name: string) =>
  `An error occurred while executing the state '${name}' (entered at the event id #2).`;

const CASES: Readonly<Record<string, Case>> = {
  "a task has Lambda's answer for its result": {
    states: { Call: task({ Output: "{% $states.result.Payload %}", End: true }, { a: 1 }) },
    answers: [returns({ b: 2 })],
    events: `${TASK} TaskSucceeded TaskStateExited`,
    output: { b: 2 },
  },
  "a function that throws is an error by the name of its type": {
    states: { Call: task({ End: true }) },
    answers: [throws("LOCKED")],
    events: `${TASK} TaskFailed`,
    error: "LOCKED",
    cause: JSON.stringify({ errorType: "LOCKED", errorMessage: "said no", trace: [] }),
  },
  "a function that dies without an error is Lambda.Unknown": {
    states: { Call: task({ End: true }) },
    answers: [{ payload: { errorMessage: "exit" }, functionError: "Unhandled" }],
    events: `${TASK} TaskFailed`,
    error: "Lambda.Unknown",
    cause: '{"errorMessage":"exit"}',
  },
  "a catch hands the error on, and the state is left": {
    states: {
      Call: task({ Catch: [{ ErrorEquals: ["LOCKED"], Next: "Caught" }], End: true }),
      Caught: { Type: "Pass", Output: "{% $states.input.Error %}", End: true },
    },
    answers: [throws("LOCKED")],
    events: `${TASK} TaskFailed TaskStateExited PassStateEntered PassStateExited`,
    output: "LOCKED",
  },
  "a retry schedules the task again, and enters no state": {
    states: {
      Call: task(
        { Retry: [{ ErrorEquals: ["LOCKED"], MaxAttempts: 2 }], End: true },
        "{% $states.context.State.RetryCount %}",
      ),
    },
    answers: [throws("LOCKED"), throws("LOCKED"), throws("LOCKED")],
    events: `${TASK} TaskFailed TaskScheduled TaskStarted TaskFailed TaskScheduled TaskStarted TaskFailed`,
    error: "LOCKED",
    cause: expect.any(String),
  },
  "no attempts are no retry": {
    states: { Call: task({ Retry: [{ ErrorEquals: ["States.ALL"], MaxAttempts: 0 }], End: true }) },
    answers: [throws("LOCKED")],
    events: `${TASK} TaskFailed`,
    error: "LOCKED",
    cause: expect.any(String),
  },
  "each retrier counts its own attempts": {
    states: {
      Call: task({
        Retry: [
          { ErrorEquals: ["LOCKED"], MaxAttempts: 1 },
          { ErrorEquals: ["States.TaskFailed"], MaxAttempts: 1 },
        ],
        Output: "{% $states.result.Payload %}",
        End: true,
      }),
    },
    answers: [throws("LOCKED"), throws("DEADLINE"), returns("good")],
    events: `${TASK} TaskFailed TaskScheduled TaskStarted TaskFailed TaskScheduled TaskStarted TaskSucceeded TaskStateExited`,
    output: "good",
  },
  "a refusal of Lambda's has the name of its exception": {
    states: { Call: task({ End: true }) },
    answers: [new LambdaRefusal("ResourceNotFoundException", "Function not found: x", 404)],
    events: `${TASK} TaskFailed`,
    error: "Lambda.ResourceNotFoundException",
    cause: expect.stringMatching(
      /^Function not found: x \(Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: .+; Proxy: null\)$/,
    ),
  },
  "a network that fails is a client's exception": {
    states: { Call: task({ End: true }) },
    answers: [new TypeError("fetch failed")],
    events: `${TASK} TaskFailed`,
    error: "Lambda.SdkClientException",
    cause: "fetch failed",
  },
  "a result over 256 KiB fails the task, and a catch for all takes it": {
    states: {
      Call: task({ Catch: [{ ErrorEquals: ["States.ALL"], Next: "Caught" }], End: true }),
      Caught: END,
    },
    answers: [returns(LARGE)],
    events: `${TASK} TaskFailed TaskStateExited SucceedStateEntered SucceedStateExited`,
    output: { Error: "States.DataLimitExceeded", Cause: TOO_LARGE("lambda") },
  },
  "an output over 256 KiB ends the execution": {
    states: { Large: { Type: "Pass", Output: LARGE, End: true } },
    events: "PassStateEntered",
    error: "States.DataLimitExceeded",
    cause: TOO_LARGE("Large"),
  },
  "a cause is cut where the API ends it": {
    states: { Call: task({ End: true }) },
    answers: [throws("LOCKED", "x".repeat(40_000))],
    events: `${TASK} TaskFailed`,
    error: "LOCKED",
    cause: expect.stringMatching(/^[\s\S]{32768}$/),
  },
  "a choice may have an output and variables of its own": {
    states: {
      Which: {
        Type: "Choice",
        Choices: [
          { Condition: "{% $states.input.a = 2 %}", Next: "No" },
          { Condition: "{% true %}", Output: "chosen", Assign: { x: 5 }, Next: "Yes" },
        ],
        Default: "No",
      },
      Yes: { Type: "Pass", Output: "{% $states.input & $string($x) %}", End: true },
      No: { Type: "Fail" },
    },
    events: "ChoiceStateEntered ChoiceStateExited PassStateEntered PassStateExited",
    output: "chosen5",
  },
  "a choice without a way out fails": {
    states: {
      Which: { Type: "Choice", Choices: [{ Condition: "{% false %}", Next: "Yes" }] },
      Yes: END,
    },
    events: "ChoiceStateEntered",
    error: "States.NoChoiceMatched",
    cause: expect.stringContaining("Which"),
  },
  "a failure may have a cause alone": {
    states: { Failed: { Type: "Fail", Cause: "{% $states.input.why %}" } },
    input: { why: "because" },
    events: "FailStateEntered",
    error: undefined,
    cause: "because",
  },
  "a pause of a year passes": {
    states: { Pause: { Type: "Wait", Seconds: "{% 31536000 %}", End: true } },
    events: "WaitStateEntered WaitStateExited",
    output: {},
  },
  "a pause of less than nothing fails": {
    states: { Pause: { Type: "Wait", Seconds: "{% -1 %}", End: true } },
    events: "WaitStateEntered EvaluationFailed",
    error: "States.QueryEvaluationError",
    cause: expect.stringContaining(IN_STATE("Pause")),
  },
  "output and variables are computed from the values before": {
    states: {
      First: { Type: "Pass", Assign: { x: 1, list: [1, 2] }, Next: "Second" },
      Second: {
        Type: "Pass",
        Assign: { x: "{% $x + 1 %}" },
        Output: { now: "{% $x %}", list: "{% $list %}" },
        Next: "Third",
      },
      Third: {
        Type: "Pass",
        Output: "{% $merge([$states.input, {'later': $x}]) %}",
        End: true,
      },
    },
    events:
      "PassStateEntered PassStateExited PassStateEntered PassStateExited PassStateEntered PassStateExited",
    output: { now: 1, list: [1, 2], later: 2 },
  },
  "an expression that returns nothing is an error": {
    states: { Plain: { Type: "Pass", Output: { a: "{% $states.input.b %}" }, End: true } },
    events: "PassStateEntered EvaluationFailed",
    error: "States.QueryEvaluationError",
    cause: `${IN_STATE("Plain")} The JSONata expression '$states.input.b' specified for the field 'Output/a' returned nothing (undefined).`,
  },
  "an expression that returns a function is an error": {
    states: { Plain: { Type: "Pass", Output: "{% function($x){$x} %}", End: true } },
    events: "PassStateEntered EvaluationFailed",
    error: "States.QueryEvaluationError",
    cause: `${IN_STATE("Plain")} The JSONata expression 'function($x){$x}' specified for the field 'Output' returned an unsupported result type.`,
  },
  "an output that cannot be computed is caught as the task's": {
    states: {
      Call: task({
        Output: "{% $states.result.Payload.none %}",
        Catch: [{ ErrorEquals: ["States.QueryEvaluationError"], Output: "caught", Next: "Caught" }],
        End: true,
      }),
      Caught: END,
    },
    answers: [returns({})],
    events: `${TASK} TaskSucceeded EvaluationFailed TaskStateExited SucceedStateEntered SucceedStateExited`,
    output: "caught",
  },
};

test.each(Object.entries(CASES))("%s", async (_, { states, input, answers = [], ...expected }) => {
  const left = [...answers];
  const machine = await startMachine(states, {
    invoke: stub(() => {
      const answer = left.shift();
      if (answer === undefined) throw new Error("The function was not to be called any more.");
      if (answer instanceof Error) throw answer;
      return answer;
    }),
  });

  const execution = await machine.run(input);

  const { output, error, cause } = execution;
  const isGood = "output" in expected;
  const last = isGood ? "ExecutionSucceeded" : "ExecutionFailed";
  expect({ events: eventsOf(execution), output, error, cause }).toEqual({
    output: undefined,
    error: undefined,
    cause: undefined,
    ...expected,
    events: `ExecutionStarted ${expected.events} ${last}`,
  });
  expect(left).toEqual([]);
  const ids = execution.history.events.map(({ id }) => id);
  expect(ids).toEqual(ids.map((_, n) => n + 1));
});

describe("a task", () => {
  test("that takes too long is given up, while its call goes on", async () => {
    let end: (answer: InvokeAnswer) => void = () => undefined;
    let isOver = false;
    const called = new Promise<InvokeAnswer>((resolve) => {
      end = resolve;
    }).finally(() => {
      isOver = true;
    });
    const machine = await startMachine(
      {
        Call: task({
          TimeoutSeconds: 1,
          Retry: [{ ErrorEquals: ["States.TaskFailed"] }],
          Catch: [{ ErrorEquals: ["States.Timeout"], Next: "Late" }],
          End: true,
        }),
        Late: END,
      },
      { invoke: () => called },
    );

    const execution = await machine.run();

    // `States.TaskFailed` stands for every error but this one.
    expect(eventsOf(execution)).toBe(
      `ExecutionStarted ${TASK} TaskTimedOut TaskStateExited SucceedStateEntered SucceedStateExited ExecutionSucceeded`,
    );
    expect(execution.output).toEqual({ Error: "States.Timeout", Cause: "" });
    expect(isOver).toBe(false);
    end(returns(null));
  });

  test("waits longer before each retry, up to a limit, and less by a jitter", async () => {
    const waits: number[] = [];
    const retry = { ErrorEquals: ["States.ALL"], IntervalSeconds: 2, BackoffRate: 3 };
    const states = (more: object) => ({
      Call: task({
        Retry: [{ ...retry, MaxAttempts: 3, MaxDelaySeconds: 10, ...more }],
        End: true,
      }),
    });
    const options = {
      invoke: stub(() => throws("LOCKED")),
      random: () => 0.5,
      clock: {
        now: () => Date.now(),
        sleep: (ms: number) => {
          waits.push(ms);
          return Promise.resolve();
        },
      },
    };

    for (const more of [{}, { JitterStrategy: "FULL" }]) {
      await (await startMachine(states(more), options)).run();
    }

    expect(waits).toEqual([2_000, 6_000, 10_000, 1_000, 3_000, 5_000]);
  });

  test("sees its retries, and the execution's name, in the context", async () => {
    const seen: unknown[] = [];
    const machine = await startMachine(
      {
        Call: task(
          { Retry: [{ ErrorEquals: ["States.ALL"], MaxAttempts: 1 }], End: true },
          {
            retry: "{% $states.context.State.RetryCount %}",
            of: "{% $states.context.Execution %}",
          },
        ),
      },
      {
        invoke: stub((payload) => {
          seen.push(payload);
          return seen.length === 1 ? throws("LOCKED") : returns(null);
        }),
      },
    );

    const { name, arn } = await machine.run({ a: 1 });

    const of = expect.objectContaining({ Id: arn, Name: name, Input: { a: 1 }, RedriveCount: 0 });
    expect(seen).toEqual([
      { retry: 0, of },
      { retry: 1, of },
    ]);
  });
});

describe("an execution", () => {
  test("ends at 25,000 events", async () => {
    const next = { Type: "Choice", Choices: [{ Condition: "{% true %}", Next: "A" }] };
    const machine = await startMachine({ A: next });

    const execution = await machine.run();

    expect(execution.history.events).toHaveLength(25_000);
    expect(execution).toMatchObject({
      status: "FAILED",
      error: "States.Runtime",
      cause: "The execution reached the maximum number of history events (25000).",
    });
  });

  test("that is stopped says so at once, and hears no more of its task", async () => {
    let end: (answer: InvokeAnswer) => void = () => undefined;
    const called = new Promise<InvokeAnswer>((resolve) => {
      end = resolve;
    });
    const machine = await startMachine({ Call: task({ End: true }) }, { invoke: () => called });
    const execution = machine.start({});

    machine.stop(execution, { error: "Operator", cause: "enough" });
    end(returns(null));
    await execution.ended;

    expect(execution).toMatchObject({ status: "ABORTED", error: "Operator", cause: "enough" });
    expect(execution.history.events.at(-1)).toMatchObject({
      type: "ExecutionAborted",
      previousEventId: 0,
    });
  });

  test("bills a transition for each state and each retry", async () => {
    const answers = [throws("LOCKED"), throws("LOCKED"), returns(null)];
    const machine = await startMachine(
      { Call: task({ Retry: [{ ErrorEquals: ["LOCKED"] }], Next: "Done" }), Done: END },
      { invoke: stub(() => answers.shift() ?? returns(null)) },
    );

    await machine.run();

    expect(machine.transitions()).toBe(4);
  });

  test("tells its variables as JSON texts", async () => {
    const machine = await startMachine({
      Plain: { Type: "Pass", Assign: { text: "a", list: [null, 1] }, End: true },
    });

    const execution = await machine.run();

    expect(detailsOf(execution, "PassStateExited")).toMatchObject({
      name: "Plain",
      assignedVariables: { text: '"a"', list: "[null,1]" },
    });
  });
});

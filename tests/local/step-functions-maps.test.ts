import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { ObjectStore } from "../../local/s3/store.ts";
import type { Execution } from "../../local/step-functions/execution.ts";
import type { Invoke, InvokeAnswer } from "../../local/step-functions/world.ts";
import {
  BUCKET,
  detailsOf,
  endMachines,
  eventsOf,
  map,
  READER,
  returns,
  startMachine,
  stub,
  task,
  throws,
  WRITER,
} from "../setup/state-machine.ts";

let store: ObjectStore;

beforeEach(() => {
  store = new ObjectStore([BUCKET]);
});

afterAll(endMachines);

const MAP = "MapStateEntered MapStateStarted MapRunStarted";

function list(...items: readonly unknown[]): void {
  store.put(BUCKET, "list.jsonl", items.map((item) => JSON.stringify(item)).join("\n"));
}

/** A map over the file, which writes its results. */
function files(more: object = {}): object {
  return map({ ItemReader: READER, ResultWriter: WRITER, End: true, ...more });
}

/** The inputs of the records behind a map run, by the kinds of the result files. */
function resultsOf(execution: Execution): Readonly<Record<string, readonly unknown[]>> {
  const { ResultFiles } = manifestOf(execution);
  const read = (kind: string) =>
    ResultFiles[kind].flatMap(({ Key, Size }: { Key: string; Size: number }) => {
      const { body } = store.get(BUCKET, Key);
      expect(body).toHaveLength(Size);
      return JSON.parse(body.toString());
    });
  return { FAILED: read("FAILED"), PENDING: read("PENDING"), SUCCEEDED: read("SUCCEEDED") };
}

function manifestOf({ mapRuns }: Execution) {
  const key = `results/${mapRuns.at(-1)?.id}/manifest.json`;
  return JSON.parse(store.get(BUCKET, key).body.toString());
}

function inputsIn(records: readonly unknown[] | undefined): readonly unknown[] {
  return (records ?? []).map((record) => JSON.parse(Object(record).Input));
}

/** Fails for the items that are listed. */
function failingFor(...bad: readonly unknown[]): Invoke {
  return stub((item) => (bad.includes(item) ? throws("MIGRATION_FAILED") : returns(item)));
}

describe("a distributed map", () => {
  test("goes through the lines of a file, and names its results", async () => {
    list("a", "b");
    const machine = await startMachine({ Wave: files() }, { store, invoke: failingFor() });

    const execution = await machine.run();

    expect(eventsOf(execution)).toBe(
      `ExecutionStarted ${MAP} MapRunSucceeded MapStateSucceeded MapStateExited ExecutionSucceeded`,
    );
    expect(detailsOf(execution, "MapStateStarted")).toEqual({ length: 0 });
    // The end of a map follows what its success follows, and the first state follows nothing.
    const previous = execution.history.events.map(({ previousEventId }) => previousEventId);
    expect(previous).toEqual([0, 0, 2, 3, 4, 5, 5, 7]);
    const [mapRun] = execution.mapRuns;
    const arn = `arn:aws:states:eu-central-1:123456789012:mapRun:fleet/wave:${mapRun?.id}`;
    expect(execution.output).toEqual({
      MapRunArn: arn,
      ResultWriterDetails: { Bucket: BUCKET, Key: `results/${mapRun?.id}/manifest.json` },
    });
    expect(manifestOf(execution)).toMatchObject({ DestinationBucket: BUCKET, MapRunArn: arn });
  });

  test("writes the children by their ends, those that were not started, too", async () => {
    list("a", "bad", "b", "c");
    const states = { Wave: files({ MaxConcurrency: 1 }) };
    const machine = await startMachine(states, { store, invoke: failingFor("bad") });

    const execution = await machine.run();

    const machineArn = `${machine.stateMachineArn}/wave`;
    const child = {
      ExecutionArn: expect.stringContaining(":execution:fleet/wave:"),
      ...{ InputDetails: { Included: true }, RedriveCount: 0, StateMachineArn: machineArn },
      ...{ Name: expect.any(String), StartDate: expect.any(String), StopDate: expect.any(String) },
    };
    const { FAILED, PENDING, SUCCEEDED } = resultsOf(execution);
    expect(SUCCEEDED).toEqual([
      {
        ...{ ...child, Input: '"a"', Status: "SUCCEEDED" },
        ...{ Output: expect.stringContaining('"Payload":"a"'), OutputDetails: { Included: true } },
      },
    ]);
    expect(FAILED).toEqual([
      {
        ...{ ...child, Input: '"bad"', Status: "FAILED", Error: "MIGRATION_FAILED" },
        Cause: expect.stringContaining("said no"),
      },
    ]);
    expect(PENDING).toEqual(
      ['"b"', '"c"'].map((Input) => ({
        Input,
        InputDetails: { Included: true },
        Status: "PENDING",
      })),
    );
  });

  test("writes more than one file where one would be too large", async () => {
    list(...Array.from({ length: 7 }, (_, n) => n));
    const machine = await startMachine({ Wave: files() }, { store, maxFileBytes: 4_000 });

    const execution = await machine.run();

    const { SUCCEEDED } = manifestOf(execution).ResultFiles;
    expect(SUCCEEDED.length).toBeGreaterThan(1);
    const inputs = inputsIn(resultsOf(execution).SUCCEEDED);
    expect(inputs).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test("returns its outputs where it has no writer, and no more than 256 KiB of them", async () => {
    const child = { Plain: { Type: "Pass", End: true } };
    const wave = (Items: unknown) => ({ Wave: map({ Items, End: true }, child) });

    const small = await (await startMachine(wave([1, "b"]))).run();
    const large = await (
      await startMachine(wave(["x".repeat(140_000), "y".repeat(140_000)]))
    ).run();

    expect(small.output).toEqual([1, "b"]);
    expect(detailsOf(small, "MapStateStarted")).toEqual({ length: 2 });
    expect(large).toMatchObject({ status: "FAILED", error: "States.DataLimitExceeded" });
    expect(large.mapRuns[0]?.counts()).toMatchObject({ succeeded: 2 });
  });

  test("over an empty list begins no map run, and an empty file is refused", async () => {
    list();
    const inline = await startMachine({ Wave: map({ Items: [], End: true }) }, { store });
    const file = await startMachine({ Wave: files() }, { store });

    const empty = await inline.run();
    const unread = await file.run();

    expect(eventsOf(empty)).toBe(
      "ExecutionStarted MapStateEntered MapStateStarted MapStateSucceeded MapStateExited ExecutionSucceeded",
    );
    expect(empty.output).toEqual([]);
    expect(unread).toMatchObject({ status: "FAILED", error: "States.ItemReaderFailed" });
  });

  const json = { ...READER, ReaderConfig: { InputType: "JSON" } };
  const readers: readonly [string, object, string, string][] = [
    ["a file with no list", json, '{"a":1}', "Attempting to map over non-iterable node."],
    ["a line that is no JSON", READER, "1\n{", "Unable to parse as JSON: {"],
    [
      "a negative number of items",
      { ...READER, ReaderConfig: { InputType: "JSONL", MaxItems: -1 } },
      "1",
      "field MaxItems must be positive",
    ],
  ];
  test.each(readers)("fails for %s", async (_, ItemReader, text, cause) => {
    store.put(BUCKET, "list.jsonl", text);
    const machine = await startMachine({ Wave: files({ ItemReader }) }, { store });

    const execution = await machine.run();

    expect(eventsOf(execution)).toBe(
      `ExecutionStarted ${MAP} MapRunFailed MapStateFailed ExecutionFailed`,
    );
    expect(execution).toMatchObject({ error: "States.ItemReaderFailed", cause });
  });

  test("fails for a file that is not there, and for results that cannot be written", async () => {
    const unread = await (await startMachine({ Wave: files() }, { store })).run();
    list(1);
    const Arguments = { ...WRITER.Arguments, Bucket: "other" };
    const states = { Wave: files({ ResultWriter: { ...WRITER, Arguments } }) };
    const unwritten = await (await startMachine(states, { store })).run();

    expect(unread).toMatchObject({
      error: "States.ItemReaderFailed",
      cause: expect.stringContaining("Error Code: NoSuchKey"),
    });
    expect(unwritten).toMatchObject({ error: "States.ResultWriterFailed" });
  });

  test.each([
    [0, 3],
    [2, 2],
  ])("takes %i items for %i of 3", async (MaxItems, taken) => {
    list(1, 2, 3);
    const ItemReader = { ...READER, ReaderConfig: { InputType: "JSONL", MaxItems } };
    const machine = await startMachine({ Wave: files({ ItemReader }) }, { store });

    const execution = await machine.run();

    expect(execution.mapRuns[0]?.counts()).toMatchObject({ succeeded: taken, total: taken });
  });

  test("selects with the item's place, and hides the variables from its children", async () => {
    list("a", "b");
    const selector = {
      n: "{% $states.context.Map.Item.Index %}",
      of: "{% $states.context.Map.Item.Value & $x %}",
    };
    const child = { Plain: { Type: "Pass", Output: "{% $exists($x) %}", End: true } };
    const machine = await startMachine(
      {
        First: { Type: "Pass", Assign: { x: "!" }, Next: "Wave" },
        Wave: map({ ItemReader: READER, ItemSelector: selector, End: true }, child),
      },
      { store },
    );

    const execution = await machine.run();

    expect(execution.output).toEqual([false, false]);
    const inputs = execution.mapRuns[0]?.children.map((each) => each?.inputText);
    expect(inputs).toEqual(['{"n":0,"of":"a!"}', '{"n":1,"of":"b!"}']);
  });

  test("never runs more children at a time than it may", async () => {
    list(...Array.from({ length: 40 }, (_, n) => n));
    let running = 0;
    let most = 0;
    const invoke = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return returns(null);
    };
    const states = { Wave: files({ MaxConcurrency: "{% 7 %}" }) };

    await (await startMachine(states, { store, invoke })).run();

    expect(most).toBe(7);
  });
});

describe("the budget of a map", () => {
  test.each([
    ["no failure", {}, 0, "SUCCEEDED"],
    ["one failure without a budget", {}, 1, "FAILED"],
    ["as many failures as are tolerated", { ToleratedFailureCount: 2 }, 2, "SUCCEEDED"],
    ["one failure more", { ToleratedFailureCount: 2 }, 3, "FAILED"],
    ["a share that is tolerated", { ToleratedFailurePercentage: 30 }, 3, "SUCCEEDED"],
    ["a larger share", { ToleratedFailurePercentage: 29.9 }, 3, "FAILED"],
    [
      "the smaller of two limits",
      { ToleratedFailureCount: 5, ToleratedFailurePercentage: 10 },
      2,
      "FAILED",
    ],
  ])("with %s", async (_, budget, failures, status) => {
    list(...Array.from({ length: 10 }, (_, n) => n));
    const bad = Array.from({ length: failures }, (_, n) => n);
    const machine = await startMachine(
      { Wave: files({ MaxConcurrency: 1, ...budget }) },
      { store, invoke: failingFor(...bad) },
    );

    const execution = await machine.run();

    expect(execution.status).toBe(status);
    expect(execution.mapRuns[0]?.counts().failed).toBe(failures);
  });

  test("below nothing fails before a map run begins, and nothing catches that", async () => {
    const wave = map({
      Items: [1],
      ToleratedFailureCount: "{% -1 %}",
      Catch: [{ ErrorEquals: ["States.ALL"], Next: "Caught" }],
      End: true,
    });
    const machine = await startMachine({ Wave: wave, Caught: { Type: "Succeed" } });

    const execution = await machine.run();

    expect(eventsOf(execution)).toBe(
      "ExecutionStarted MapStateEntered MapStateStarted ExecutionFailed",
    );
    expect(execution).toMatchObject({
      error: "States.Runtime",
      cause:
        "An error occurred while executing the state 'Wave' (entered at the event id #2). ToleratedFailureCount cannot be negative.",
    });
  });

  /** A map over four items with two at a time, of which the first fails while the second waits for `end`. */
  async function overshooting(options: object) {
    list("bad", "slow", "never", "never");
    let end: (answer: InvokeAnswer) => void = () => undefined;
    const slow = new Promise<InvokeAnswer>((resolve) => {
      end = resolve;
    });
    const calls: unknown[] = [];
    const invoke: Invoke = async (name, item) => {
      calls.push(item);
      return item === "slow" ? await slow : await failingFor("bad")(name, item);
    };
    const wave = files({
      MaxConcurrency: 2,
      Catch: [{ ErrorEquals: ["States.ALL"], Next: "Caught" }],
    });
    const machine = await startMachine(
      { Wave: wave, Caught: { Type: "Succeed" } },
      { store, invoke, ...options },
    );
    const execution = machine.start({});
    await execution.ended;
    return { machine, execution, calls, end };
  }

  test("leaves the map at once; what runs goes on, and the results come behind that", async () => {
    const { machine, execution, calls, end } = await overshooting({});

    expect(eventsOf(execution)).toBe(
      `ExecutionStarted ${MAP} MapRunFailed MapStateFailed MapStateExited SucceedStateEntered SucceedStateExited ExecutionSucceeded`,
    );
    expect(execution.output).toMatchObject({ Error: "States.ExceedToleratedFailureThreshold" });
    expect(execution.mapRuns[0]?.counts()).toMatchObject({ running: 1, failed: 1, pending: 2 });
    expect(() => manifestOf(execution)).toThrow("does not exist");
    end(returns("late"));
    await machine.idle();

    const { SUCCEEDED, PENDING } = resultsOf(execution);
    expect(inputsIn(SUCCEEDED)).toEqual(["slow"]);
    expect(inputsIn(PENDING)).toEqual(["never", "never"]);
    expect(calls).toEqual(["bad", "slow"]);
  });

  test("may as well abort what runs: it is among the failed, though its call goes on", async () => {
    const { machine, execution, end } = await overshooting({ overBudget: "abort" });
    await machine.idle();

    expect(resultsOf(execution).FAILED).toMatchObject([
      { Status: "FAILED", Input: '"bad"' },
      { Status: "ABORTED", Input: '"slow"' },
    ]);
    end(returns("late"));
    await machine.idle();
    expect(execution.mapRuns[0]?.counts()).toMatchObject({ aborted: 1, failed: 1, succeeded: 0 });
  });

  test("and its results may get lost", async () => {
    list("bad");
    const machine = await startMachine({ Wave: files() }, { store, invoke: failingFor("bad") });
    machine.loseResults(1);

    const execution = await machine.run();

    expect(store.list(BUCKET, { prefix: "results/" }).objects).toEqual([]);
    expect(execution.mapRuns[0]?.counts().resultsWritten).toBe(0);
  });
});

describe("a map that failed", () => {
  test("is caught like a task, and left", async () => {
    list("bad");
    const catcher = {
      ErrorEquals: ["States.ExceedToleratedFailureThreshold"],
      Assign: { failed: "{% $states.errorOutput %}" },
      Output: {},
      Next: "Caught",
    };
    const machine = await startMachine(
      {
        Wave: files({ Catch: [catcher] }),
        Caught: { Type: "Pass", Output: "{% $failed.Error %}", End: true },
      },
      { store, invoke: failingFor("bad") },
    );

    const execution = await machine.run();

    expect(eventsOf(execution)).toContain("MapRunFailed MapStateFailed MapStateExited");
    expect(execution.output).toBe("States.ExceedToleratedFailureThreshold");
  });

  test("is retried as a new map run with all of its items", async () => {
    list("good", "bad");
    let failures = 1;
    const calls: unknown[] = [];
    const invoke = stub((item) => {
      calls.push(item);
      return item === "bad" && failures-- > 0 ? throws("MIGRATION_FAILED") : returns(null);
    });
    const wave = files({ Retry: [{ ErrorEquals: ["States.ALL"] }], MaxConcurrency: 1 });
    const machine = await startMachine({ Wave: wave }, { store, invoke });

    const execution = await machine.run();

    expect(execution.status).toBe("SUCCEEDED");
    expect(execution.mapRuns).toHaveLength(2);
    expect(calls).toEqual(["good", "bad", "good", "bad"]);
    expect(eventsOf(execution)).toContain("MapRunFailed MapStateStarted MapRunStarted");
  });
});

describe("a stop", () => {
  test("aborts the children; the files hold them as failed, and the rest as pending", async () => {
    list("a", "b", "c");
    const calls: unknown[] = [];
    const invoke: Invoke = (_, item) => {
      calls.push(item);
      if (item === "a") return Promise.resolve(returns(null));
      if (item === "b") machine.stop(machine.executions()[0] ?? expect.fail(), {});
      return new Promise(() => undefined);
    };
    const wave = files({ MaxConcurrency: 1 });
    const machine = await startMachine({ Wave: wave }, { store, invoke });

    const execution = await machine.run();

    expect(execution.status).toBe("ABORTED");
    expect(execution.mapRuns[0]).toMatchObject({ status: "ABORTED" });
    const { SUCCEEDED, FAILED, PENDING } = resultsOf(execution);
    expect(inputsIn(SUCCEEDED)).toEqual(["a"]);
    expect(FAILED).toMatchObject([{ Input: '"b"', Status: "ABORTED" }]);
    expect(inputsIn(PENDING)).toEqual(["c"]);
    expect(calls).toEqual(["a", "b"]);
  });
});

describe("a redrive", () => {
  test("goes on with what failed and with what was not started, in the same map run", async () => {
    list("a", "bad", "b");
    const calls: unknown[] = [];
    let isMended = false;
    const invoke = stub((item) => {
      calls.push(item);
      return item === "bad" && !isMended ? throws("MIGRATION_FAILED") : returns(item);
    });
    const wave = files({ MaxConcurrency: 1 });
    const machine = await startMachine({ Wave: wave }, { store, invoke });
    const execution = await machine.run();
    list("another", "list");
    isMended = true;

    machine.redrive(execution);
    await machine.idle();

    expect(execution).toMatchObject({ status: "SUCCEEDED", redriveCount: 1, error: undefined });
    expect(execution.mapRuns).toMatchObject([{ status: "SUCCEEDED", redriveCount: 1 }]);
    expect(calls).toEqual(["a", "bad", "bad", "b"]);
    expect(inputsIn(resultsOf(execution).SUCCEEDED)).toEqual(["a", "bad", "b"]);
    expect(eventsOf(execution)).toContain(
      "ExecutionFailed ExecutionRedriven MapStateEntered MapStateStarted MapRunRedriven MapRunSucceeded",
    );
  });

  test("counts its own failures against the budget, and writes the last ones", async () => {
    list("bad", "worse", "a");
    const wave = files({ MaxConcurrency: 1, ToleratedFailureCount: 1 });
    const machine = await startMachine(
      { Wave: wave },
      { store, invoke: failingFor("bad", "worse") },
    );
    const execution = await machine.run();

    machine.redrive(execution);
    await machine.idle();

    expect(execution).toMatchObject({ status: "FAILED", redriveCount: 1 });
    const { FAILED } = resultsOf(execution);
    expect(FAILED).toMatchObject([
      { Input: '"bad"', RedriveCount: 1 },
      { Input: '"worse"', RedriveCount: 1 },
    ]);
  });

  test("reads the list again where it could not be read", async () => {
    const machine = await startMachine({ Wave: files() }, { store });
    const execution = await machine.run();
    list(1, 2);

    machine.redrive(execution);
    await machine.idle();

    expect(execution.status).toBe("SUCCEEDED");
    expect(execution.mapRuns).toHaveLength(2);
  });

  test("of a map that was caught goes on behind it only", async () => {
    list("bad");
    const calls: unknown[] = [];
    const invoke = stub((item) => {
      calls.push(item);
      return throws("MIGRATION_FAILED");
    });
    const machine = await startMachine(
      {
        Wave: files({ Catch: [{ ErrorEquals: ["States.ALL"], Next: "Failed" }] }),
        Failed: { Type: "Fail", Error: "FLEET_FAILED" },
      },
      { store, invoke },
    );
    const execution = await machine.run();

    machine.redrive(execution);
    await machine.idle();

    expect(execution).toMatchObject({ status: "FAILED", error: "FLEET_FAILED", redriveCount: 1 });
    expect(calls).toEqual(["bad"]);
  });

  test("begins the task that failed again, with the old definition", async () => {
    const called: string[] = [];
    const states = {
      Call: task({ Retry: [{ ErrorEquals: ["LOCKED"], MaxAttempts: 1 }], End: true }),
    };
    const machine = await startMachine(states, {
      invoke: stub((_, name) => {
        called.push(name);
        return called.length < 3 ? throws("LOCKED") : returns(null);
      }),
    });
    const execution = await machine.run();
    machine.update(
      { QueryLanguage: "JSONata", StartAt: "Other", States: { Other: { Type: "Succeed" } } },
      {},
    );

    machine.redrive(execution);
    await machine.idle();

    expect(execution.status).toBe("SUCCEEDED");
    expect(called).toHaveLength(3);
    expect((await machine.run("new")).output).toBe("new");
  });

  test("is refused for an execution that succeeded, that runs, or that ended long ago", async () => {
    const year = { Type: "Wait", Seconds: 31_536_000, End: true };
    const good = await startMachine({ Plain: { Type: "Pass", End: true } });
    const old = await startMachine({
      Which: {
        Type: "Choice",
        Choices: [{ Condition: "{% $states.input.wait %}", Next: "Year" }],
        Default: "Failed",
      },
      Failed: { Type: "Fail" },
      Year: year,
    });
    const succeeded = await good.run();
    const failed = await old.run({ wait: false });
    await old.run({ wait: true });

    expect(() => good.redrive(succeeded)).toThrow("Execution is SUCCEEDED and cannot be redriven");
    expect(() => old.redrive(failed)).toThrow("14 days");
    expect(() => old.redrive(old.start({ wait: false }))).toThrow("RUNNING");
  });
});

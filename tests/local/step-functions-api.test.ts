import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  DescribeExecutionCommand,
  DescribeMapRunCommand,
  DescribeStateMachineCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  ListMapRunsCommand,
  RedriveExecutionCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applied, type FleetMachine, failed, startFleet } from "../setup/fleet-machine.ts";
import { endMachines, startMachine, type TestMachine } from "../setup/state-machine.ts";
import { hasTool } from "../setup/tools.ts";

let fleet: FleetMachine;
let client: SFNClient;
/** Ids that fail. */
const bad = new Set<string>();

beforeAll(async () => {
  fleet = await startFleet({
    waves: [{ ids: ["a", "b", "c"], maxConcurrency: 1, toleratedCount: 1 }],
    migrate: (id) => (bad.has(id) ? failed("MIGRATION_FAILED") : applied(id)),
  });
  client = clientOf(fleet);
});

afterAll(async () => {
  client.destroy();
  await endMachines();
});

function clientOf({ url }: TestMachine, region = "eu-central-1"): SFNClient {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return new SFNClient({ endpoint: url, region, maxAttempts: 1, credentials });
}

async function started(input: object, name?: string): Promise<string | undefined> {
  const { executionArn } = await client.send(
    new StartExecutionCommand({
      stateMachineArn: fleet.stateMachineArn,
      input: JSON.stringify(input),
      ...(name === undefined ? {} : { name }),
    }),
  );
  await fleet.idle();
  return executionArn;
}

describe("an execution", () => {
  test("is started, described and listed", async () => {
    const executionArn = await started({ a: 1 }, "monday");

    const described = await client.send(new DescribeExecutionCommand({ executionArn }));
    const stateMachineArn = fleet.stateMachineArn;
    expect(executionArn).toBe(`${stateMachineArn.replace("stateMachine", "execution")}:monday`);
    const listed = {
      ...{ executionArn, stateMachineArn, name: "monday", status: "SUCCEEDED", redriveCount: 0 },
      ...{ startDate: expect.any(Date), stopDate: expect.any(Date) },
    };
    expect(described).toEqual({
      ...listed,
      ...{ input: '{"a":1}', inputDetails: { included: true } },
      output: '{"status":"applied","counts":{},"next":""}',
      outputDetails: { included: true },
      redriveStatus: "NOT_REDRIVABLE",
      redriveStatusReason: "Execution is SUCCEEDED and cannot be redriven",
      $metadata: expect.anything(),
    });
    const { executions } = await client.send(new ListExecutionsCommand({ stateMachineArn }));
    expect(executions).toContainEqual(listed);
  });

  test("tells its history, page by page and from its end", async () => {
    const executionArn = await started({}, "told");
    const first = await client.send(
      new GetExecutionHistoryCommand({ executionArn, maxResults: 20 }),
    );
    const { nextToken } = first;
    const rest = await client.send(new GetExecutionHistoryCommand({ executionArn, nextToken }));
    const [last] =
      (await client.send(new GetExecutionHistoryCommand({ executionArn, reverseOrder: true })))
        .events ?? [];

    const events = [...(first.events ?? []), ...(rest.events ?? [])];
    expect(first.events).toHaveLength(20);
    expect(rest.nextToken).toBeUndefined();
    expect(events.map(({ id }) => id)).toEqual(events.map((_, n) => n + 1));
    expect(events.at(-1)).toEqual(last);
    expect(last).toMatchObject({
      type: "ExecutionSucceeded",
      executionSucceededEventDetails: { output: expect.any(String) },
    });
    // Details that the client does not know by their name would be missing.
    const bare = events.filter((event) => Object.keys(event).length === 4).map(({ type }) => type);
    expect(bare).toEqual(["MapRunSucceeded", "MapStateSucceeded"]);
  });

  test("is not started twice under a name", async () => {
    await started({}, "twice");

    await expect(started({ other: 1 }, "twice")).rejects.toMatchObject({
      name: "ExecutionAlreadyExists",
    });
    await expect(started({}, "not a name")).rejects.toMatchObject({ name: "InvalidName" });
    const large = { text: "x".repeat(262_144) };
    await expect(started(large)).rejects.toMatchObject({ name: "ValidationException" });
  });

  test("is stopped, and redriven", async () => {
    const slow = await startMachine({ Pause: { Type: "Wait", Seconds: 60, End: true } }, NEVER);
    const other = clientOf(slow);
    const execution = slow.start({});
    const executionArn = execution.arn;

    const stopped = await other.send(
      new StopExecutionCommand({ executionArn, error: "Operator", cause: "enough" }),
    );

    expect(stopped.stopDate).toBeInstanceOf(Date);
    expect(await other.send(new DescribeExecutionCommand({ executionArn }))).toMatchObject({
      ...{ status: "ABORTED", error: "Operator", cause: "enough", redriveStatus: "REDRIVABLE" },
    });
    await other.send(new RedriveExecutionCommand({ executionArn }));
    expect(await other.send(new DescribeExecutionCommand({ executionArn }))).toMatchObject({
      ...{ status: "RUNNING", redriveCount: 1 },
    });
    const again = other.send(new RedriveExecutionCommand({ executionArn }));
    await expect(again).rejects.toMatchObject({ name: "ExecutionNotRedrivable" });
    other.destroy();
  });
});

/** Nobody wakes in this clock. */
const NEVER = {
  clock: {
    now: () => Date.now(),
    sleep: (_: number, signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
      }),
  },
};

describe("a map run", () => {
  test("is listed and described, and so are its children", async () => {
    bad.add("b");
    const executionArn = await started({}, "children");

    const { mapRuns } = await client.send(new ListMapRunsCommand({ executionArn }));
    const mapRunArn = mapRuns?.[0]?.mapRunArn;
    const described = await client.send(new DescribeMapRunCommand({ mapRunArn }));
    const counts = {
      ...{ pending: 0, running: 0, succeeded: 2, failed: 1, timedOut: 0, aborted: 0 },
      ...{ total: 3, resultsWritten: 3 },
    };
    const dates = { startDate: expect.any(Date), stopDate: expect.any(Date) };
    expect(described).toEqual({
      ...{ executionArn, mapRunArn, ...dates, status: "SUCCEEDED", maxConcurrency: 1 },
      ...{ toleratedFailureCount: 1, toleratedFailurePercentage: 0, redriveCount: 0 },
      ...{ itemCounts: counts, executionCounts: counts, $metadata: expect.anything() },
    });
    const { executions = [] } = await client.send(
      new ListExecutionsCommand({ mapRunArn, statusFilter: "FAILED" }),
    );
    expect(executions).toMatchObject([{ mapRunArn, status: "FAILED" }]);
    const child = await client.send(
      new DescribeExecutionCommand({ executionArn: executions[0]?.executionArn }),
    );
    expect(child).toMatchObject({
      error: "MIGRATION_FAILED",
      input: expect.stringContaining('"id":"b"'),
      redriveStatus: "REDRIVABLE_BY_MAP_RUN",
      stateMachineArn: `${fleet.stateMachineArn}/wave`,
    });
    bad.clear();
  });

  test("lists its children in pages", async () => {
    const executionArn = await started({}, "paged");
    const { mapRuns } = await client.send(new ListMapRunsCommand({ executionArn }));
    const mapRunArn = mapRuns?.[0]?.mapRunArn;

    const first = await client.send(new ListExecutionsCommand({ mapRunArn, maxResults: 2 }));
    const { nextToken } = first;
    const second = await client.send(new ListExecutionsCommand({ mapRunArn, nextToken }));

    const arns = [...(first.executions ?? []), ...(second.executions ?? [])].map(
      (each) => each.executionArn,
    );
    expect(new Set(arns).size).toBe(3);
    expect(second.nextToken).toBeUndefined();
  });
});

describe("refusals", () => {
  const arn = "arn:aws:states:eu-central-1:123456789012:";

  const execution = (executionArn: string) => new DescribeExecutionCommand({ executionArn });
  const mapRun = (mapRunArn: string) => new DescribeMapRunCommand({ mapRunArn });
  const list = (stateMachineArn: string) => new ListExecutionsCommand({ stateMachineArn });
  const machine = (stateMachineArn: string) => new DescribeStateMachineCommand({ stateMachineArn });

  test.each([
    ["ExecutionDoesNotExist", () => client.send(execution(`${arn}execution:fleet:none`))],
    ["InvalidArn", () => client.send(execution("none"))],
    ["ResourceNotFound", () => client.send(mapRun(`${arn}mapRun:fleet/wave:none`))],
    ["StateMachineDoesNotExist", () => client.send(list(`${arn}stateMachine:none`))],
    ["UnknownOperationException", () => client.send(machine(`${arn}stateMachine:fleet`))],
  ])("say %s", async (name, call) => {
    await expect(call()).rejects.toMatchObject({ name });
  });

  test("say that a token or a region is wrong", async () => {
    const stateMachineArn = fleet.stateMachineArn;
    const page = new ListExecutionsCommand({ stateMachineArn, nextToken: "none" });
    await expect(client.send(page)).rejects.toMatchObject({ name: "InvalidToken" });

    const elsewhere = clientOf(fleet, "us-east-1");
    await expect(elsewhere.send(list(stateMachineArn))).rejects.toMatchObject({
      name: "InvalidSignatureException",
    });
    elsewhere.destroy();
  });
});

test.runIf(hasTool("aws"))("serves the AWS CLI", async () => {
  const aws = async (...words: readonly string[]) => {
    const { stdout } = await promisify(execFile)(
      "aws",
      ["--endpoint-url", fleet.url, "--output", "json", "stepfunctions", ...words],
      { env: { ...process.env, ...fleet.environment, AWS_PAGER: "" } },
    );
    return JSON.parse(stdout);
  };

  const machine = ["--state-machine-arn", fleet.stateMachineArn];
  const { executionArn } = await aws("start-execution", ...machine, "--input", '{"cli": true}');
  await fleet.idle();

  expect(await aws("describe-execution", "--execution-arn", executionArn)).toMatchObject({
    ...{ status: "SUCCEEDED", input: '{"cli": true}' },
  });
});

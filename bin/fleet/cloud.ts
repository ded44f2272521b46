import type { MapRunStatus, SFNClient } from "@aws-sdk/client-sfn";
import { fleetFailure } from "./errors.ts";

/** One execution of the machine, as its list has it. */
export interface ListedRun {
  readonly arn: string;
  readonly name: string;
  readonly status: string;
  readonly startedAt: Date;
  /** Null while it runs. */
  readonly endedAt: Date | null;
}

/** One execution, with what it was given and what came of it. */
export interface DescribedRun extends ListedRun {
  readonly input: string;
  /** Null for one that has not succeeded. */
  readonly output: string | null;
  readonly error: string | null;
  readonly cause: string | null;
}

/** The numbers of one wave, as Step Functions counts them. */
export interface MapRunCounts {
  readonly arn: string;
  readonly status: MapRunStatus;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly pending: number;
  readonly running: number;
  readonly succeeded: number;
  /** Those that timed out count as well. */
  readonly failed: number;
  readonly aborted: number;
  readonly total: number;
}

/** The first facts of a run's history: its plan, and the function that made it. */
export interface Beginning {
  /** The answer of the first step; null before it is there. */
  readonly prepared: string | null;
  readonly functionArn: string | null;
}

/** Step Functions and the bucket of one fleet. Every call throws a MigratorError. */
export interface Cloud {
  readonly machine: string;
  /** @returns the ARN of the execution */
  start(input: string, name: string | undefined): Promise<string>;
  /** The newest runs first. @param only those of this status; default: all */
  runs(count: number, only?: "RUNNING"): Promise<readonly ListedRun[]>;
  describe(arn: string): Promise<DescribedRun>;
  beginning(arn: string): Promise<Beginning>;
  /** The waves that have begun, the first one first. */
  waves(arn: string): Promise<readonly { readonly arn: string; readonly startedAt: Date }[]>;
  counts(mapRunArn: string): Promise<MapRunCounts>;
  /** The executions of single tenants, the newest first. */
  tenants(
    mapRunArn: string,
    only: "RUNNING" | "FAILED" | "TIMED_OUT",
    count: number,
  ): Promise<readonly ListedRun[]>;
  /** @returns null where there is no such object */
  read(bucket: string, key: string): Promise<string | null>;
  write(bucket: string, key: string, body: string): Promise<void>;
  close(): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** Makes the clients of a machine, in the region of its ARN. */
export async function openCloud(machine: string): Promise<Cloud> {
  // Loaded on demand, so that no other command needs the AWS SDK.
  const sdk = await import("@aws-sdk/client-sfn");
  const s3 = await import("@aws-sdk/client-s3");
  const region = /^arn:[^:]+:states:([^:]+):/.exec(machine)?.[1];
  const settings = {
    ...(region === undefined ? {} : { region }),
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  };
  const client = new sdk.SFNClient(settings);
  const files = new s3.S3Client(settings);
  const asked = <Answer>(call: Promise<Answer>) =>
    call.catch((thrown: unknown): never => {
      throw fleetFailure(thrown, machine);
    });
  const send: SFNClient["send"] = client.send.bind(client);
  const describe = async (arn: string): Promise<DescribedRun> => {
    const found = await asked(send(new sdk.DescribeExecutionCommand({ executionArn: arn })));
    return {
      ...listed({ ...found, executionArn: arn }),
      input: found.input ?? "",
      ...{ output: found.output ?? null, error: found.error ?? null, cause: found.cause ?? null },
    };
  };
  return {
    machine,
    describe,
    start: async (input, name) => {
      const command = new sdk.StartExecutionCommand({
        ...{ stateMachineArn: machine, input },
        ...(name === undefined ? {} : { name }),
      });
      const { executionArn = "" } = await asked(send(command));
      return executionArn;
    },
    runs: async (maxResults, only) => {
      const command = new sdk.ListExecutionsCommand({
        ...{ stateMachineArn: machine, maxResults },
        ...(only === undefined ? {} : { statusFilter: only }),
      });
      const { executions = [] } = await asked(send(command));
      return executions.map(listed);
    },
    beginning: async (executionArn) => {
      const command = new sdk.GetExecutionHistoryCommand({ executionArn, maxResults: 100 });
      const { events = [] } = await asked(send(command));
      const texts = (pick: (event: (typeof events)[number]) => string | undefined) =>
        events.map(pick).find((text) => text !== undefined) ?? null;
      return {
        prepared: texts(({ taskSucceededEventDetails }) => taskSucceededEventDetails?.output),
        functionArn: functionIn(
          texts(({ taskScheduledEventDetails }) => taskScheduledEventDetails?.parameters),
        ),
      };
    },
    waves: async (executionArn) => {
      const { mapRuns = [] } = await asked(send(new sdk.ListMapRunsCommand({ executionArn })));
      return mapRuns
        .map(({ mapRunArn = "", startDate = new Date(0) }) => ({
          arn: mapRunArn,
          startedAt: startDate,
        }))
        .toSorted((one, other) => one.startedAt.getTime() - other.startedAt.getTime());
    },
    counts: async (mapRunArn) => {
      const found = await asked(send(new sdk.DescribeMapRunCommand({ mapRunArn })));
      const {
        pending = 0,
        running = 0,
        succeeded = 0,
        aborted = 0,
        total = 0,
      } = found.itemCounts ?? {};
      const { failed = 0, timedOut = 0 } = found.itemCounts ?? {};
      return {
        ...{ arn: mapRunArn, status: found.status ?? "RUNNING" },
        ...{ startedAt: found.startDate ?? new Date(0), endedAt: found.stopDate ?? null },
        ...{ pending, running, succeeded, failed: failed + timedOut, aborted, total },
      };
    },
    tenants: async (mapRunArn, statusFilter, maxResults) => {
      const command = new sdk.ListExecutionsCommand({ mapRunArn, statusFilter, maxResults });
      const { executions = [] } = await asked(send(command));
      return executions.map(listed);
    },
    read: async (Bucket, Key) => {
      const object = files.send(new s3.GetObjectCommand({ Bucket, Key }));
      const found = await asked(object.catch(nothingFor("NoSuchKey")));
      return (await found?.Body?.transformToString()) ?? null;
    },
    write: async (Bucket, Key, Body) => {
      await asked(files.send(new s3.PutObjectCommand({ Bucket, Key, Body })));
    },
    close: () => {
      client.destroy();
      files.destroy();
    },
  };
}

interface Listed {
  readonly executionArn?: string | undefined;
  readonly name?: string | undefined;
  readonly status?: string | undefined;
  readonly startDate?: Date | undefined;
  readonly stopDate?: Date | undefined;
}

function listed({ executionArn = "", name = "", status = "", startDate, stopDate }: Listed) {
  return {
    ...{ arn: executionArn, name, status },
    ...{ startedAt: startDate ?? new Date(0), endedAt: stopDate ?? null },
  };
}

function nothingFor(name: string): (thrown: unknown) => undefined {
  return (thrown) => {
    if (Object(thrown).name === name) return undefined;
    throw thrown;
  };
}

function functionIn(parameters: string | null): string | null {
  if (parameters === null) return null;
  const name: unknown = Object(JSON.parse(parameters)).FunctionName;
  return typeof name === "string" ? name : null;
}

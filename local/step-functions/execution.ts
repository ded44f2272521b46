import type { Machine, MapState } from "./definition.ts";
import { History } from "./history.ts";

export type Status = "RUNNING" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED";

/** The state that an execution is in, with what it needs to begin that state again. */
export interface Position {
  readonly state: string;
  readonly input: unknown;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** How an execution begins. */
export interface ExecutionOptions {
  readonly arn: string;
  readonly name: string;
  readonly machineArn: string;
  readonly machineName: string;
  /** The definition of its time; a later one does not change it. */
  readonly machine: Machine;
  readonly input: unknown;
  readonly inputText: string;
  readonly now: () => number;
  readonly maxEvents: number;
  /** The map run that it is a child of. */
  readonly mapRunArn?: string;
}

/** An execution: of the machine itself, or of a child for one item. */
export class Execution {
  readonly arn: string;
  readonly name: string;
  readonly machineArn: string;
  readonly machineName: string;
  readonly machine: Machine;
  readonly mapRunArn: string | undefined;
  readonly inputText: string;
  readonly startMs: number;
  readonly history: History;
  /** The map runs that it began, newest last. */
  readonly mapRuns: MapRun[] = [];
  status: Status = "RUNNING";
  stopMs: number | undefined;
  outputText: string | undefined;
  error: string | undefined;
  cause: string | undefined;
  redriveCount = 0;
  /** Null at the end of an execution that succeeded. */
  position: Position | null;
  /** The map run that a redrive goes on with. */
  openMapRun: MapRun | null = null;
  abort = new AbortController();
  /** Settles when the execution has ended. */
  ended: Promise<void> = Promise.resolve();

  constructor(options: ExecutionOptions) {
    this.arn = options.arn;
    this.name = options.name;
    this.machineArn = options.machineArn;
    this.machineName = options.machineName;
    this.machine = options.machine;
    this.mapRunArn = options.mapRunArn;
    this.inputText = options.inputText;
    this.startMs = options.now();
    this.history = new History(options.now, options.maxEvents);
    this.position = { state: this.machine.startAt, input: options.input, variables: {} };
  }

  /** The output as a value; undefined unless it succeeded. */
  get output(): unknown {
    return this.outputText === undefined ? undefined : JSON.parse(this.outputText);
  }
}

/** Lets an execution that has failed or was stopped go on from the state that it was in. */
export function revive(execution: Execution): void {
  execution.redriveCount += 1;
  execution.status = "RUNNING";
  execution.stopMs = undefined;
  execution.error = undefined;
  execution.cause = undefined;
  execution.abort = new AbortController();
  execution.history.end("ExecutionRedriven", { redriveCount: execution.redriveCount });
}

/** Ends an execution that runs. What it called goes on, and nobody hears of its end. */
export function stopExecution(
  execution: Execution,
  nowMs: number,
  words: { readonly error?: string; readonly cause?: string } = {},
): void {
  execution.status = "ABORTED";
  execution.stopMs = nowMs;
  execution.error = words.error;
  execution.cause = words.cause;
  execution.history.end("ExecutionAborted", words, 0);
  execution.abort.abort();
}

/** The numbers of a map run, by the states of its children. */
export interface Counts {
  readonly pending: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly aborted: number;
  readonly total: number;
  readonly resultsWritten: number;
}

/** The limits of a map run. */
export interface Limits {
  readonly maxConcurrency: number;
  /** Failed children that are no reason to end it. */
  readonly toleratedCount: number;
  readonly toleratedPercentage: number;
}

/** How a map run begins. */
export interface MapRunOptions extends Limits {
  readonly arn: string;
  readonly parent: Execution;
  readonly state: MapState;
  readonly startMs: number;
}

/** The run of one distributed Map: its items, and the children that go through them. */
export class MapRun {
  readonly arn: string;
  readonly parent: Execution;
  readonly state: MapState;
  readonly startMs: number;
  readonly limits: Limits;
  status: Exclude<Status, "TIMED_OUT"> = "RUNNING";
  stopMs: number | undefined;
  redriveCount = 0;
  redriveMs: number | undefined;
  /** The items as they were read. */
  items: readonly unknown[] = [];
  /** The children by the place of their item; absent where none was started. */
  readonly children: (Execution | undefined)[] = [];
  resultsWritten = 0;
  /** The error that a redrive must know: the list is read again behind some. */
  error: string | undefined;
  /** Settles when no child runs any more, and the results are written or lost. */
  finished: Promise<void> = Promise.resolve();

  constructor({ arn, parent, state, startMs, ...limits }: MapRunOptions) {
    this.arn = arn;
    this.parent = parent;
    this.state = state;
    this.startMs = startMs;
    this.limits = limits;
  }

  /** The last part of the ARN: the folder of the results. */
  get id(): string {
    return this.arn.split(":").at(-1) ?? "";
  }

  counts(): Counts {
    const by = { RUNNING: 0, SUCCEEDED: 0, FAILED: 0, TIMED_OUT: 0, ABORTED: 0 };
    for (const child of this.children) if (child !== undefined) by[child.status] += 1;
    const started = Object.values(by).reduce((sum, count) => sum + count, 0);
    return {
      pending: this.items.length - started,
      running: by.RUNNING,
      succeeded: by.SUCCEEDED,
      failed: by.FAILED,
      timedOut: by.TIMED_OUT,
      aborted: by.ABORTED,
      total: this.items.length,
      resultsWritten: this.resultsWritten,
    };
  }

  /** Whether so many failures are more than the limits tolerate. */
  isOver(failures: number): boolean {
    const { toleratedCount, toleratedPercentage } = this.limits;
    const percentage = (failures / this.items.length) * 100;
    return failures > toleratedCount || percentage > toleratedPercentage;
  }
}

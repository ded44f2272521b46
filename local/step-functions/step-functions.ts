/*
 * A stand-in for AWS Step Functions. A definition in JSONata comes in, and executions of it go out: tasks that call
 * functions, distributed maps that read a file of a bucket and write their results into one, retries, budgets, stops and
 * redrives, with the histories that the service would have. What is not stood in for is refused by name before anything
 * starts (`NotStoodIn`). `api.ts` puts the API of the service in front of it, for the AWS SDK and CLI.
 *
 *   const s3 = await startS3({ buckets: ["fleet"] });
 *   const stepFunctions = await startStepFunctions({
 *     definition: JSON.parse(readFileSync("infra/fleet.asl.json", "utf8")),
 *     substitutions: { FunctionArn: `${lambda.functionArn}:1`, Bucket: "fleet" },
 *     invoke: invokeLocally([lambda]),
 *     s3: s3.store,
 *     clock: jumpingClock(),
 *   });
 *   const execution = stepFunctions.start({ targets: { inline: [] } }, "monday");
 *   await execution.ended;
 *   console.log(execution.status, execution.output, execution.error, execution.cause);
 *   Object.assign(process.env, stepFunctions.environment);   // for the CLI and the SDK
 *   await stepFunctions.idle();                               // children and result files of maps that were left
 *   await stepFunctions.shutDown();
 */

import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { serviceEnvironment, startLoopback } from "../aws/loopback.ts";
import type { ObjectStore } from "../s3/store.ts";
import { serve } from "./api.ts";
import { type Clock, realClock } from "./clock.ts";
import type { Execution, MapRun } from "./execution.ts";
import { MAX_EVENTS } from "./history.ts";
import { Machines } from "./machines.ts";

import type { Invoke, World } from "./world.ts";

/** A state machine to run locally. */
export interface StepFunctionsOptions {
  /** The Amazon States Language of the machine, as an object. */
  readonly definition: unknown;
  /** The values of `${Name}` in the definition, as CloudFormation's DefinitionSubstitutions. */
  readonly substitutions?: Readonly<Record<string, string>>;
  readonly invoke: Invoke;
  readonly s3: ObjectStore;
  /** The name of the machine. Default: `fleet`. */
  readonly name?: string;
  /** Default: the real one. `jumpingClock()` skips pauses and the waits before retries. */
  readonly clock?: Clock;
  /** Draws the jitter of retries, between 0 and 1. Default: `Math.random`. */
  readonly random?: () => number;
  /**
   * What becomes of the children that run when a map goes over its budget. AWS says that they may go on. Default: `go on`;
   * then the results are written when the last of them has ended, and the machine is past the map already.
   */
  readonly overBudget?: "go on" | "abort";
  /** The most events of an execution's history. Default: 25,000, as the service has it. */
  readonly maxEvents?: number;
  /** The most bytes of a result file. Default: 5 GB, as the service has it. */
  readonly maxFileBytes?: number;
  /** A fixed port of the API. Default: a free one. */
  readonly port?: number;
}

/** A state machine on this machine. */
export interface LocalStepFunctions {
  readonly url: string;
  /** The environment that points any AWS SDK at it, with its credentials. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stateMachineArn: string;
  /**
   * Starts an execution.
   * @param name Default: a new one
   * @throws ApiError `ExecutionAlreadyExists`, `InvalidExecutionInput`
   */
  start(input: unknown, name?: string): Execution;
  /** Gives new executions another definition, or the same with other substitutions, as a deployment does. */
  update(definition: unknown, substitutions?: Readonly<Record<string, string>>): void;
  /** Stops an execution, as `StopExecution` does. */
  stop(execution: Execution, words?: { readonly error?: string; readonly cause?: string }): void;
  /** Lets an execution that failed go on. @throws ApiError `ExecutionNotRedrivable` */
  redrive(execution: Execution): void;
  /** The executions of the machine, without the children of maps, newest first. */
  executions(): readonly Execution[];
  mapRuns(execution: Execution): readonly MapRun[];
  /** Has the next map runs end without result files and without a manifest. */
  loseResults(count: number): void;
  /** The transitions so far, of children too, as they are billed: every state entered, and every retry. */
  transitions(): number;
  /** Settles when no execution and no child runs, and all results are written. */
  idle(): Promise<void>;
  /** Stops what runs, and ends the API. */
  shutDown(): Promise<void>;
}

const MAX_FILE_BYTES = 5 * 1_024 ** 3;

/**
 * Starts the stand-in.
 * @throws NotStoodIn, InvalidDefinition
 */
export async function startStepFunctions(
  options: StepFunctionsOptions,
): Promise<LocalStepFunctions> {
  const { name = "fleet", clock = realClock } = options;
  const billed = { transitions: 0 };
  const losses = { count: 0 };
  const { region, id: account } = LOCAL_ACCOUNT;
  const machines = new Machines({
    name,
    arn: `arn:aws:states:${region}:${account}:stateMachine:${name}`,
    world: (register): World => ({
      ...{ clock, billed, losses, region, account, register },
      invoke: options.invoke,
      s3: options.s3,
      random: options.random ?? Math.random,
      roleArn: `arn:aws:iam::${account}:role/${name}`,
      maxEvents: options.maxEvents ?? MAX_EVENTS,
      maxFileBytes: options.maxFileBytes ?? MAX_FILE_BYTES,
      overBudget: options.overBudget ?? "go on",
    }),
  });
  machines.update(options.definition, options.substitutions);
  const server = await startLoopback(
    (request, response) => serve(machines, request, response),
    options.port,
  );
  return {
    url: server.url,
    environment: serviceEnvironment("SFN", server.url),
    stateMachineArn: machines.arn,
    start: (input, run) => machines.start(JSON.stringify(input) ?? "{}", run),
    update: (definition, substitutions) => machines.update(definition, substitutions),
    stop: (execution, words) => machines.stop(execution, words),
    redrive: (execution) => machines.redrive(execution),
    executions: () => machines.executions(),
    mapRuns: ({ mapRuns }) => mapRuns,
    loseResults: (count) => {
      losses.count = count;
    },
    transitions: () => billed.transitions,
    idle: () => machines.idle(),
    shutDown: async () => {
      for (const execution of machines.executions()) machines.stop(execution);
      await server.stop();
    },
  };
}

import type { ObjectStore } from "../s3/store.ts";
import type { Clock } from "./clock.ts";
import type { Execution } from "./execution.ts";

/** The answer of a function, as `LocalLambda.invoke` has it. */
export interface InvokeAnswer {
  readonly payload: unknown;
  /** `Unhandled` where the function threw. Its payload has `errorType` and `errorMessage`. */
  readonly functionError: string | null;
}

/**
 * Calls a function and waits for it. A rejection is a refusal of the service: an error whose name ends in `Exception` has
 * that name for the machine (`Lambda.TooManyRequestsException`); any other is `Lambda.SdkClientException`.
 */
export type Invoke = (functionName: string, payload: unknown) => Promise<InvokeAnswer>;

/** All that executions share. */
export interface World {
  readonly clock: Clock;
  readonly invoke: Invoke;
  readonly s3: ObjectStore;
  /** Between 0 and 1, for the jitter of retries. */
  readonly random: () => number;
  readonly region: string;
  readonly account: string;
  /** The machine's role, which only shows in the context. */
  readonly roleArn: string;
  readonly maxEvents: number;
  /** The most bytes of a result file. */
  readonly maxFileBytes: number;
  /** What becomes of the children that run when a map goes over its budget. */
  readonly overBudget: "go on" | "abort";
  /** The map runs whose results are to be lost. */
  readonly losses: { count: number };
  /** The transitions so far, as they are billed: every state that is entered, and every retry. */
  readonly billed: { transitions: number };
  /** Takes a new child in. */
  readonly register: (child: Execution) => void;
}

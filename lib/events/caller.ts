import type { StepCall } from "../fleet/answer-step.ts";
import type { Log } from "../log.ts";
import type { Dependencies } from "../migrate/migrate.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Continuation } from "./continuation.ts";

/** The part of Lambda's context that matters here. */
export interface InvocationContext {
  readonly awsRequestId: string;
  /** The ARN that was invoked, with its alias or version if one was named. */
  readonly invokedFunctionArn: string;
  getRemainingTimeInMillis(): number;
}

/**
 * The sender of one event. Each file beside this one knows one kind of sender: its function takes an event, and returns
 * the sender, or null for an event of another kind. A caller turns its event into a request, and a report into the
 * answer that it expects. Only the callers about queued runs reach a database, through `queued-runs/`.
 */
export interface Caller {
  /** The kind of the sender, as the log names it. */
  readonly source: string;
  /**
   * Returns the request that the event makes; null when the event asks for no run in this call (CloudFormation's
   * Delete). Then no migration runs, and `respond` gets no report: it may do all the work, as for a queued run.
   * @throws MigratorError for an event that cannot be served; `respond` gets its report
   */
  request(call: Call): Request | null | Promise<Request | null>;
  /**
   * Carries the request out, for a caller that needs more than `migrate` does. Default: `migrate`.
   * @returns null when there was nothing to do
   */
  run?(request: Request, dependencies: Dependencies): Promise<Report | null>;
  /** Loads the files that `respond` needs, while the run goes on: the time for the answer is short. Default: nothing. */
  prepare?(): Promise<unknown>;
  /**
   * Returns the work that is left for another call; null when the report is final. The handler asks once for each report
   * that failed, so that log and answer say the same. Default: null.
   */
  nextCall?(report: Report): Continuation | null;
  /** Gives the caller its answer: returns the value that the handler returns, or throws the error that it throws. */
  respond(end: End): unknown;
}

/** One call of the function, as its caller needs it. The handler makes it. */
export interface Call {
  readonly context: InvocationContext;
  readonly log: Log;
  /** Epoch ms by which the answer must have left. */
  readonly answerBy: number;
  /** Reads the bundle, once in a call. @throws MigratorError for a bundle that is missing or damaged */
  bundle(): Promise<Dependencies["bundle"]>;
  /** Reads of it what tells it from others. @throws MigratorError as `bundle` */
  bundleHashes(): Promise<BundleHashes>;
  /**
   * Reads where the database is, anew each time.
   * @param rightsBy epoch ms until which the first reading waits for a right that is denied. Default: the run's deadline
   * @throws MigratorError for a setting or a secret that does not say it
   */
  target(rightsBy?: number): Promise<Target>;
  /**
   * Makes the report of a failure, without the secrets that the call has read. A run that is still under way is given up:
   * its connection is dropped, and the report says how far the run was.
   */
  failed(reason: unknown): Report;
  /** Remembers a secret, so that no report shows it. */
  hide: (secret: string) => void;
  /** Reads where a database is, by the settings of this function with some of them replaced. @throws as `target` */
  readonly resolve: StepCall["resolve"];
}

/** The database of this function. */
export type Target = Awaited<ReturnType<Dependencies["target"]>>;

/** The bundle of this function, as deployments tell bundles apart. */
export interface BundleHashes {
  readonly whole: string;
  /** The hashes of the shorter bundles that this one begins with. */
  readonly heads: () => readonly string[];
}

/** The end of a call. */
export interface End {
  readonly call: Call;
  /** Null when nothing was to be run. */
  readonly report: Report | null;
  /** The answer of `nextCall`. */
  readonly next: Continuation | null;
}

import type { Dependencies, migrate } from "../migrate/migrate.ts";
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

/** A change of a deployment's migrations, which may go back as well as on. */
export interface Undone {
  /** The hash of the bundle that was deployed before. */
  readonly from: string;
  /** The hash of the bundle that is deployed now. */
  readonly to: string;
}

/**
 * The adapter for one kind of event. It knows nothing of databases: it turns an event into a request,
 * and a report into what that caller expects.
 */
export interface EventSource<Event> {
  readonly name: string;
  matches(event: unknown): event is Event;
  /**
   * What the event may take back; null for nothing. It may reach the code that has these migrations before the older
   * code is there again: then it asks for nothing.
   */
  undone?(event: Event): Undone | null;
  /**
   * The request that the event makes; null when the event asks for no run in this call (CloudFormation's
   * Delete): then neither secret nor database is touched, and `respond` is called with null.
   * @throws MigratorError for an event that cannot be served; its report goes through `respond` too
   */
  toRequest(event: Event, context: InvocationContext): Request | null;
  /**
   * Carries the request out, for a source that has more to do than `run` alone. Default: `run`.
   * @returns null where there was nothing to be done
   */
  carryOut?(
    event: Event,
    request: Request,
    dependencies: Dependencies,
    run: typeof migrate,
  ): Promise<Report | null>;
  /**
   * What another call is to go on with, for a caller that makes one; null where the report is final. Default: it is.
   * Asked once for each report, so that the log and the answer say the same.
   */
  nextCall?(event: Event, report: Report): Continuation | null;
  /** Loads what `respond` needs, while the run goes on: the time for the answer is short. Default: nothing. */
  prepare?(): Promise<unknown>;
  /**
   * Gives the caller its answer: returns what the handler returns, or throws what it throws.
   * @param deadline epoch ms by which the answer must have left
   * @param next what `nextCall` said
   */
  respond(
    event: Event,
    report: Report | null,
    context: InvocationContext,
    deadline: number,
    next: Continuation | null,
  ): Promise<unknown>;
}

import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Connection, SessionObserver, Whereabouts } from "../connection/connection.ts";
import type { MigratorError } from "../errors.ts";
import type { OnWait } from "../execute/blockers.ts";
import type { Log } from "../log.ts";
import type { Report } from "../report/report.ts";
import type { CallerFacts, Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import type { Milestone } from "./milestone.ts";
import type { Progress } from "./progress.ts";

/** The needs of a run from outside. */
export interface Dependencies {
  readonly bundle: Bundle;
  /**
   * Reads the target. The run calls it, so that a secret that cannot be read becomes a failed report. The run calls it once
   * more when the login is refused, because the secret may have been rotated.
   */
  target(): Promise<Target> | Target;
  readonly requestId: string;
  /** Describes who calls, for the history. Called by a run that applies something. Default: nobody knows. */
  readonly caller?: () => Promise<CallerFacts | null> | CallerFacts | null;
  /** Epoch ms by which the work must have stopped; null: no limit from outside. */
  readonly deadline: number | null;
  /** Epoch ms by which the connection is dropped where nothing else has helped. Default: some seconds behind the deadline. */
  readonly dropBy?: number;
  readonly log: Log;
  /** Told how far the run is, statement by statement. Must be quick, and must not throw. */
  readonly onProgress?: (done: Milestone, place: Whereabouts) => void;
  /**
   * Told for whom the run waits, about once a second, with their statements. Must be quick, and must not throw. Default:
   * those whom it waits for are logged, without their statements.
   */
  readonly onWait?: OnWait;
  /** Watches the session that applies. Default: nobody does. */
  readonly observer?: SessionObserver;
  /** `up`: told what is pending, under the lock, before the first statement; once more where the plan is made again. Throws where that must not run. */
  readonly assertPending?: (pending: readonly Migration[]) => void;
  /**
   * Called as soon as the run begins, with a function that ends the run from outside: it drops the connection, and makes
   * the report of how far the run is. It waits for nothing. The second function has the statement that runs cancelled, so
   * that the run itself ends, and says what the server has made of it; without a session there is nothing to cancel, and
   * the function returns false.
   */
  readonly onStart?: (
    giveUp: (reason: unknown) => Report,
    stop: (reason: MigratorError) => boolean,
  ) => void;
}

/** The end of an attempt that does not fail. */
export type Status = Exclude<Report["status"], "failed">;

/** One attempt at a run, on a connection of its own. `Asked`: what its login asked for; see `Connection`. */
export interface Attempt<Asked extends string = never> {
  readonly request: Request;
  readonly target: Target;
  readonly bundle: Bundle;
  readonly connection: Connection<Asked>;
  readonly progress: Progress;
  readonly requestId: string;
  /** See `Dependencies`. */
  readonly caller: Dependencies["caller"];
  /** Makes the report of a failure at this point, without secrets. */
  failed(thrown: unknown): Report;
  readonly log: Log;
  /** Told for whom the run waits. */
  readonly onWait: OnWait;
  /** See `Dependencies`. */
  readonly assertPending: NonNullable<Dependencies["assertPending"]>;
}

import type { Milestone } from "../migrate/milestone.ts";
import type { Report } from "../report/report.ts";

/** The known facts of a run. All times are in UTC, as ISO 8601. */
interface Known {
  /** The identity that AWS found, of IAM or of a token; null where the caller has none. */
  readonly requestedBy: string | null;
  readonly requestedAt: string;
  readonly startedAt: string | null;
  /** Its last sign of life. */
  readonly seenAt: string | null;
  readonly finishedAt: string | null;
  /** The request id of the call that carries it out, which leads to its log. */
  readonly requestId: string | null;
  readonly progress: Milestone | null;
  readonly report: Report | null;
}

/** A run that outlives the call that asked for it, as its caller sees it. Schema: `docs/run.schema.json`. */
export interface RunRecord extends Known {
  readonly schemaVersion: 1;
  readonly runId: string;
  /** Where to ask for it: a path on the host that was called. */
  readonly statusUrl: string;
  /**
   * `queued`: Lambda has not begun it. `running`. `finished`: its report says how. `lost`: it gives no sign of life,
   * and will not any more.
   */
  readonly state: "queued" | "running" | "finished" | "lost";
  /** Advice for this state; null where the report says everything. */
  readonly message: string | null;
}

/** A row of the table, with two facts that only the server knows. */
export interface RunRow extends Known {
  readonly state: "queued" | "running" | "finished";
  /** The time since its last sign of life, by the server's clock. */
  readonly silentSeconds: number;
  /** Whether the call that carries it out has a session. */
  readonly connected: boolean;
}

/** The silence after which a run is lost. A run gives a sign of life every five seconds; six are not missed by chance. */
const LOST_AFTER_S = 30;

/** The longest time for which Lambda keeps an event that it cannot deliver (`MaximumEventAgeInSeconds`). */
const DROPPED_AFTER_S = 21_600;

const QUEUED =
  "Lambda has the run in its queue and has not begun it. Where it is short of concurrency it may wait there for up to six hours.";

const LOST =
  "The run has stopped without a word: its function reached its time-out, ran out of memory, or could not reach the database to say how it ended. What was committed stays, the rest is rolled back. Look into the log of the request id, and at GET /migrations; then send POST /migrations again, which goes on behind what is done.";

const DROPPED =
  "Lambda has not delivered the run within six hours and has given it up, or its function could not reach the database. Nothing was run. Look at the function's concurrency and at its log; then send POST /migrations again.";

/** Tells the caller what a row means now. */
export function describeRun(runId: string, statusUrl: string, row: RunRow): RunRecord {
  const { state: _state, silentSeconds: _seconds, connected: _connected, ...known } = row;
  const state = stateOf(row);
  return { schemaVersion: 1, runId, statusUrl, state, message: messageOf(state, row), ...known };
}

/** The state as of now. A run that only cannot reach its table still has its session: that run is not lost. */
function stateOf({ state, silentSeconds, connected }: RunRow): RunRecord["state"] {
  if (state === "running" && silentSeconds > LOST_AFTER_S && !connected) return "lost";
  if (state === "queued" && silentSeconds > DROPPED_AFTER_S) return "lost";
  return state;
}

function messageOf(state: RunRecord["state"], row: RunRow): string | null {
  if (state === "queued") return QUEUED;
  if (state === "lost") return row.startedAt === null ? DROPPED : LOST;
  return null;
}

import type { Bundle } from "../bundle/bundle.ts";
import type { Connection, Whereabouts } from "../connection/connection.ts";
import { type ErrorCode, MigratorError } from "../errors.ts";
import type { Blockers } from "../execute/blockers.ts";
import { interruptedAt } from "../execute/statement-errors.ts";
import { type RunFacts, type Timings, toMigratorError } from "../report/report.ts";

/** What is known of a run so far, over all its attempts. Whatever happens next, the report says this much. */
export interface Progress {
  readonly bundle: Bundle;
  /** Epoch ms. In the past as soon as somebody else answers for the run, which then stops. */
  deadline: number;
  /** What it does outside of the migrations, behind the words "It was"; null while it is in one. */
  doing: string | null;
  /** Where in the migrations it is, or was last, before a connection was lost for example. */
  place: Whereabouts | null;
  /** For whom it waits; null before it is in a migration. */
  blockers: Blockers | null;
  /** The session of the present attempt. */
  connection: Connection | null;
  /** Brings the facts up to date while a plan is being carried out. */
  update: (() => void) | null;
  facts: RunFacts & Required<Pick<RunFacts, "applied" | "warnings" | "notices" | "roundTrips">>;
  timings: Omit<Timings, "totalMs">;
  /** Tags that were being applied when the connection was lost: only the ledger knows whether they are. */
  inDoubt: ReadonlySet<string>;
  warn(code: string, message: string): void;
}

/** How far a run is. What is rolled back and tried again counts again. */
export interface Milestone {
  /** Tag of the migration that is being applied. */
  readonly migration: string;
  /** How many statements are done, of all those of the migrations that the run has to apply. */
  readonly done: number;
  readonly total: number;
}

/** The beginning of every run. */
export function startProgress(bundle: Bundle, deadline: number): Progress {
  const progress: Progress = {
    ...{
      bundle,
      deadline,
      doing: null,
      place: null,
      blockers: null,
      connection: null,
      update: null,
    },
    facts: { applied: [], warnings: bundle.warnings, notices: [], roundTrips: 0 },
    timings: { connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 },
    inDoubt: new Set(),
    warn: (code, message) => {
      const known = progress.facts.warnings.some((each) => each.message === message);
      if (known) return;
      const warnings = [...progress.facts.warnings, { code, message }];
      progress.facts = { ...progress.facts, warnings };
    },
  };
  return progress;
}

/** All that is known of a run at this moment, what its present session has to tell included. */
export function factsOf(progress: Progress): Progress["facts"] {
  progress.update?.();
  const { facts, connection } = progress;
  if (connection === null) return facts;
  return {
    ...facts,
    notices: [...facts.notices, ...connection.notices()],
    roundTrips: facts.roundTrips + connection.roundTrips(),
  };
}

/** Errors that come from outside of the statement in which they come. */
const FROM_OUTSIDE: readonly ErrorCode[] = ["DEADLINE", "CONNECTION_LOST", "INTERNAL"];

/** What was thrown, with what the run was doing where it does not say that itself. */
export function located(thrown: unknown, { bundle, doing, place }: Progress): MigratorError {
  const error = toMigratorError(thrown);
  const { code, message, facts } = error;
  if (facts.migration !== undefined || !FROM_OUTSIDE.includes(code)) return error;
  const told =
    doing === null ? error : new MigratorError(code, `${message} It was ${doing}.`, facts);
  const migration = bundle.migrations.find(({ tag }) => tag === place?.migration);
  if (migration === undefined || place === null) return told;
  const how = doing === null ? "It came" : "Before, it was";
  return interruptedAt(told, migration, place.index, { how });
}

/** Begins to count time. @returns adds it to what the run has spent on such work, when it is called first */
export function startClock(progress: Progress, name: keyof Progress["timings"]): () => void {
  const started = Date.now();
  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    const sum = progress.timings[name] + Date.now() - started;
    progress.timings = { ...progress.timings, [name]: sum };
  };
}

/** Does work, and adds its time to what the run has spent on such work. */
export async function timed<Result>(
  progress: Progress,
  name: keyof Progress["timings"],
  work: () => Promise<Result>,
): Promise<Result> {
  const stop = startClock(progress, name);
  try {
    return await work();
  } finally {
    stop();
  }
}

/** Says how far a run is while its session is at a place. What there is to do is counted once for each plan. */
export function milestones(progress: Progress): (place: Whereabouts) => Milestone {
  const before = new Map<string, number>();
  let total = 0;
  let counted: RunFacts["pending"];
  return ({ migration, index }) => {
    const { applied, pending = [] } = progress.facts;
    if (pending !== counted) {
      counted = pending;
      total = 0;
      for (const { tag, statements } of [...applied, ...pending]) {
        before.set(tag, total);
        total += statements;
      }
    }
    return { migration, done: (before.get(migration) ?? 0) + index, total };
  };
}

import type { Bundle } from "./bundle.ts";
import type { Whereabouts } from "./connection.ts";
import type { RunFacts, Timings } from "./report.ts";

/** What is known of a run so far, over all its attempts. Whatever happens next, the report says this much. */
export interface Progress {
  /** Epoch ms. */
  readonly deadline: number;
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
    deadline,
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

/** Does work, and adds its time to what the run has spent on such work. */
export async function timed<Result>(
  progress: Progress,
  name: keyof Progress["timings"],
  work: () => Promise<Result>,
): Promise<Result> {
  const started = Date.now();
  try {
    return await work();
  } finally {
    const sum = progress.timings[name] + Date.now() - started;
    progress.timings = { ...progress.timings, [name]: sum };
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

import type { Whereabouts } from "../connection/connection.ts";
import type { RunFacts } from "../report/report.ts";

/** How far a run is. Statements that are rolled back and tried again count again. */
export interface Milestone {
  /** Tag of the migration that is being applied. */
  readonly migration: string;
  /** How many statements are done, of all those of the migrations that the run has to apply. */
  readonly done: number;
  readonly total: number;
}

/** Says how far a run is while its session is at a place. The statements of a plan are counted once. */
export function milestones(
  facts: () => Required<Pick<RunFacts, "applied" | "pending">>,
): (place: Whereabouts) => Milestone {
  const before = new Map<string, number>();
  let total = 0;
  let counted: RunFacts["pending"];
  return ({ migration, index }) => {
    const { applied, pending } = facts();
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

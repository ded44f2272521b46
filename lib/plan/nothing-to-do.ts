import type { Bundle } from "../bundle/bundle.ts";
import { overviewOf } from "../bundle/overview.ts";
import type { Plan } from "./plan.ts";

/**
 * Returns the plan for a ledger that is complete. It looks at no migration, and a start loads it without the rest of the
 * planning, so that nothing to do costs the same with any number of migrations.
 */
export function nothingToDo(bundle: Bundle): Plan {
  return {
    get applied() {
      return bundle.migrations;
    },
    latest: overviewOf(bundle).latest,
    ...{ pending: [], steps: [], cuts: [], atomic: true, warnings: [] },
    ...{ executor: null, executorReason: null, refusal: null },
    drift: { modified: [], unknown: [], outOfOrder: [] },
  };
}

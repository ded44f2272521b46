import { toError } from "../errors.ts";
import type { HistoryOptions } from "../history/keeper.ts";
import type { CallerFacts } from "../request.ts";
import { version } from "../version.ts";
import type { Attempt } from "./attempt.ts";

/** Gathers the facts that the history has of a run. */
export async function historyOf(self: Attempt): Promise<HistoryOptions> {
  const { requestId, bundle, progress, target } = self;
  return {
    wanted: target.ledger.history,
    layout: bundle.layout,
    origin: {
      ...{ requestId, bundleHash: bundle.hash, version: version() },
      ...{ caller: await callerOf(self), restorePoint: progress.facts().restorePoint ?? null },
    },
  };
}

/** Nothing about its caller fails a run. */
async function callerOf({ caller, log }: Attempt): Promise<CallerFacts | null> {
  try {
    return (await caller?.()) ?? null;
  } catch (thrown) {
    log("caller.unknown", { reason: toError(thrown).message });
    return null;
  }
}

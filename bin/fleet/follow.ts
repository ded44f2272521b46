import { pause } from "../../lib/wait.ts";
import type { Sight, Watcher } from "./sight.ts";

/** A wave of a thousand tenants takes minutes; one of three takes seconds. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3_000;

/**
 * Looks at a run until it has ended.
 * @param onSight gets each look
 * @throws MigratorError where AWS does not answer any more; the run goes on
 */
export async function follow(
  watcher: Watcher,
  onSight: (sight: Sight) => void,
): Promise<Awaited<ReturnType<Watcher["look"]>>> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.3, LONGEST_PAUSE_MS)) {
    const seen = await watcher.look(true);
    onSight(seen.sight);
    if (seen.sight.endedAt !== null) return seen;
    await pause(pauseMs);
  }
}

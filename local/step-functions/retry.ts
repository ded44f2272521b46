import type { Catcher, Retrier } from "./definition.ts";
import type { StateError } from "./errors.ts";

/** The attempts so far, by the retrier that took them. */
export type Attempts = Map<Retrier, number>;

/**
 * Says how long to wait before the next attempt.
 * @param random between 0 and 1
 * @returns ms, or null where no retrier takes the error any more
 */
export function retryDelayMs(
  retriers: readonly Retrier[],
  error: StateError,
  attempts: Attempts,
  random: () => number,
): number | null {
  const retrier = retriers.find((each) => takes(each.errorEquals, error));
  if (retrier === undefined) return null;
  const taken = attempts.get(retrier) ?? 0;
  if (taken >= retrier.maxAttempts) return null;
  attempts.set(retrier, taken + 1);
  const grown = retrier.intervalSeconds * retrier.backoffRate ** taken;
  const seconds = Math.min(grown, retrier.maxDelaySeconds);
  return seconds * 1_000 * (retrier.jitter ? random() : 1);
}

/** Finds the catcher of an error. */
export function catcherOf(catchers: readonly Catcher[], error: StateError): Catcher | undefined {
  return catchers.find((each) => takes(each.errorEquals, error));
}

/** `States.TaskFailed` stands for every error but a time-out (States Language, "Errors"). */
function takes(errorEquals: readonly string[], { error }: StateError): boolean {
  if (errorEquals.includes("States.ALL") || errorEquals.includes(error)) return true;
  return errorEquals.includes("States.TaskFailed") && error !== "States.Timeout";
}

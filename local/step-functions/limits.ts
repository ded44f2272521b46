import { StateError } from "./errors.ts";

/** The most bytes of an input, an output or a result (developer guide, "Quotas"). */
export const MAX_BYTES = 262_144;
/** The most characters of an error's name and of its cause (API reference, "ExecutionFailedEventDetails"). */
const MAX_ERROR = 256;
const MAX_CAUSE = 32_768;

/**
 * Writes a value as JSON.
 * @param by the state or the task that made the value
 * @throws StateError `States.DataLimitExceeded`
 */
export function limitedJson(value: unknown, by: string, { isTerminal = true } = {}): string {
  const text = JSON.stringify(value) ?? "null";
  // A character has at most three bytes.
  if (text.length * 3 > MAX_BYTES && Buffer.byteLength(text) > MAX_BYTES) {
    const words = `The state/task '${by}' returned a result with a size exceeding the maximum number of bytes service limit.`;
    throw new StateError("States.DataLimitExceeded", words, { isTerminal });
  }
  return text;
}

/** Cuts an error to the size that the service keeps. */
export function limitedError(error: string, cause: string): StateError {
  return new StateError(error.slice(0, MAX_ERROR), cause.slice(0, MAX_CAUSE));
}

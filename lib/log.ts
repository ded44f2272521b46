import { printableJson } from "./text.ts";

/** The names of a call's last event, which carries its report. Alarms count them, so they stay. */
export const RUN_ENDS = ["run.finished", "run.failed", "run.continues"] as const;

/** The name of a call's last event. */
export type RunEnd = (typeof RUN_ENDS)[number];

/** Writes one event. `fields` carry units in their names and never hold SQL text, events or secrets. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

/**
 * Makes a log that writes one JSON object per line.
 * @param write takes each finished line. Default: standard error, so that standard output stays the report's
 */
export function createLog(
  requestId: string,
  write: (line: string) => void = (line) => console.error(line),
): Log {
  return (event, fields = {}) => write(printableJson({ event, requestId, ...fields }));
}

/** A log that keeps nothing. */
export const silentLog: Log = () => undefined;

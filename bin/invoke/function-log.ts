import { RUN_ENDS } from "../../lib/log.ts";
import { oneLine, printableJson } from "../../lib/text.ts";
import { isTold, type Shown } from "../render/progress.ts";

/** Events that are not shown: the report says the ends of a run better, and the others say nothing. */
const UNTOLD: readonly string[] = [...RUN_ENDS, "alive", "run.started"];

/** One event of the migrator's log. */
export interface LoggedEvent {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Finds the migrator's event in a line of a log or a stream: alone, behind Lambda's columns, or inside Lambda's JSON.
 * @returns null for any other line
 */
export function eventIn(line: string): LoggedEvent | null {
  const start = line.indexOf("{");
  if (start < 0) return null;
  try {
    const value: unknown = JSON.parse(line.slice(start));
    const { event, message, requestId: _, type: __, ...fields } = Object(value);
    if (typeof event === "string") return { event, fields };
    return typeof message === "string" ? eventIn(message) : null;
  } catch {
    return null;
  }
}

/** Returns the lines of a log's tail. The first one is left out where it may begin in the middle. */
export function tailLines(tail: string): readonly string[] {
  const lines = tail.split("\n").filter((line) => line !== "");
  return tail.startsWith("START ") ? lines : lines.slice(1);
}

/** Shows a line of a function's log to a person, if it says something. */
export function showLogLine(line: string, { log, say }: Pick<Shown, "log" | "say">): void {
  const found = eventIn(line);
  if (found === null) {
    say(oneLine(line));
    return;
  }
  const { event, fields } = found;
  if (UNTOLD.includes(event)) return;
  if (isTold(event)) {
    log(event, fields);
    return;
  }
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${printableJson(value)}`);
  say([event, ...facts].map(oneLine).join(" "));
}

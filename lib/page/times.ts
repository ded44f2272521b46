import type { Report } from "../report/report.ts";
import type { Span } from "./axis.ts";

type Entry = Report["applied"][number] | Report["pending"][number];

/** The time that a report knows of one migration; null where it knows none. */
export function spanOf({ startedMs, statementMs }: Entry): Span | null {
  if (startedMs === undefined) return null;
  const ms = (statementMs ?? []).reduce<number>((sum, each) => sum + (each ?? 0), 0);
  return { fromMs: startedMs, ms };
}

/** The times of the statements of a migration; null for each of which nothing is known. */
export function statementSpans({
  startedMs = 0,
  statementMs = [],
}: Entry): readonly (Span | null)[] {
  let clock = startedMs;
  return statementMs.map((ms) => {
    if (ms === null) return null;
    clock += ms;
    return { fromMs: clock - ms, ms };
  });
}

/** Where something happened: in a migration, and there in a statement. */
interface Placed {
  readonly migration: string | null;
  readonly statement: number | null;
  readonly startedMs: number;
  readonly durationMs: number;
}

/** Those of a list that belong to a migration, or to one of its statements. @param tag null: outside of the migrations */
export function placedIn<Kind extends Placed>(
  list: readonly Kind[],
  tag: string | null,
  statement?: number,
): readonly Kind[] {
  return list.filter(
    (each) => each.migration === tag && (statement === undefined || each.statement === statement),
  );
}

/** Their times. */
export function spansOf(list: readonly Placed[]): readonly Span[] {
  return list.map(({ startedMs, durationMs }) => ({ fromMs: startedMs, ms: durationMs }));
}

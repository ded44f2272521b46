import type { Report } from "../report/report.ts";
import { counted } from "../text.ts";

/** The outcome of a report, for the head of a page. */
export interface Outcome {
  readonly tone: "good" | "open" | "bad";
  readonly label: string;
  readonly sentence: string;
}

/** Says in one sentence how a run ended, or how a database stands. */
export function outcomeOf(report: Report): Outcome {
  const { status, applied, pending, error, atomic, timings } = report;
  const migrations = counted(applied.length, "migration");
  if (status === "failed") return failed(report);
  if (status === "applied") {
    const how = atomic ? "one transaction" : "several transactions";
    const sentence = `${migrations} applied in ${how}, in ${duration(timings.totalMs)}.`;
    return { tone: "good", label: "applied", sentence };
  }
  if (status === "planned" && report.rehearsal?.status === "passed") {
    const sentence = `${counted(pending.length, "migration")} rehearsed on a branch: it went well.`;
    return { tone: "good", label: "rehearsed", sentence };
  }
  if (status === "planned" || error !== undefined) {
    return {
      tone: "open",
      label: "pending",
      sentence: `${counted(pending.length, "migration")} pending.`,
    };
  }
  const known = report.running === undefined ? "" : `, ${migrations} applied`;
  return { tone: "good", label: "up to date", sentence: `Up to date${known}: nothing is pending.` };
}

function failed({ error, applied }: Report): Outcome {
  const before = applied.length === 0 ? "" : `, after ${counted(applied.length, "migration")}`;
  if (error?.code === "RUN_UNKNOWN") {
    return { tone: "bad", label: "unknown", sentence: "It is not known how the run ended." };
  }
  if (error?.code === "NOT_FOUND") {
    return { tone: "bad", label: "not found", sentence: "There is no such page." };
  }
  const place = error?.statement == null ? "" : `, statement ${error.statement.index}`;
  const what = error?.migration == null ? "The run" : `${error.migration}${place}`;
  return { tone: "bad", label: "failed", sentence: `${what} failed${before}: ${error?.code}.` };
}

/** Writes a number of milliseconds for a person: `340 ms`, `12.4 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

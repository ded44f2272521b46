import type { Findings, Verdict } from "./verdict.ts";

/** One try and how it ended. */
export interface TryResult {
  readonly scenario: string;
  readonly workload: string;
  readonly number: number;
  readonly verdict: Verdict;
}

/** What all tries of a scenario come to. */
export interface Row {
  readonly scenario: string;
  readonly tries: number;
  /** In how many the fault met a run at work. */
  readonly met: number;
  /** In how many tries it happened. */
  readonly lost: number;
  readonly doubled: number;
  readonly unanswered: number;
  readonly leftBehind: number;
  /** In how many a run answered with a failure, which the next one made good; by error code below the table. */
  readonly failed: number;
  /** The longest times, in ms; null where there is none to tell. */
  readonly recoveryMs: number | null;
  readonly lockFreeMs: number | null;
  readonly settleMs: number | null;
}

/** Sums the tries up, by scenario. */
export function summarise(results: readonly TryResult[]): readonly Row[] {
  const names = [...new Set(results.map(({ scenario }) => scenario))];
  return names.map((scenario) => {
    const verdicts = results
      .filter((each) => each.scenario === scenario)
      .map((each) => each.verdict);
    const count = (what: keyof Findings) =>
      verdicts.filter(({ findings }) => findings[what].length > 0).length;
    return {
      scenario,
      tries: verdicts.length,
      met: verdicts.filter(({ recoveryMs }) => recoveryMs !== null).length,
      lost: count("lost"),
      doubled: count("doubled"),
      unanswered: count("unanswered"),
      leftBehind: count("leftBehind"),
      failed: verdicts.filter(({ failures }) => failures.length > 0).length,
      recoveryMs: worst(verdicts.map(({ recoveryMs }) => recoveryMs)),
      lockFreeMs: worst(verdicts.map(({ lockFreeMs }) => lockFreeMs)),
      settleMs: worst(verdicts.map(({ settleMs }) => settleMs)),
    };
  });
}

function worst(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.round(Math.max(...known));
}

/** Whether something happened that must never happen. */
export function isBad({ findings }: TryResult["verdict"]): boolean {
  return Object.values(findings).some((sentences) => sentences.length > 0);
}

const HEADINGS: Readonly<Record<keyof Row, string>> = {
  scenario: "scenario",
  tries: "tries",
  met: "met a run",
  lost: "lost",
  doubled: "doubled",
  unanswered: "unanswered",
  leftBehind: "left behind",
  failed: "failed first",
  recoveryMs: "worst recovery ms",
  lockFreeMs: "lock free ms",
  settleMs: "gone after ms",
};

/** The rows as a table of text. */
export function renderTable(rows: readonly Row[]): string {
  const columns = Object.keys(HEADINGS).filter((name): name is keyof Row => name in HEADINGS);
  const lines = [HEADINGS, ...rows].map((row) => columns.map((name) => String(row[name] ?? "–")));
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, index) => {
          const width = widths[index] ?? 0;
          return index === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  "),
    )
    .join("\n");
}

/** The share of a scenario's tries that must meet a run at work: with fewer, a zero in the table says little. */
export const ENOUGH = 0.9;

/** Says of which scenarios few tries have met a run. */
export function renderFewMet(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ met, tries }) => met < ENOUGH * tries)
    .map(({ scenario, met, tries }) => `few met a run in ${scenario}: ${met} of ${tries} tries`);
}

/** How often runs answered with which error, with the first message of each. */
export function renderAnsweredFailures(results: readonly TryResult[]): readonly string[] {
  const counts = new Map<string, { times: number; readonly message: string }>();
  for (const { scenario, number, verdict } of results) {
    for (const { code, sqlstate, message } of verdict.failures) {
      const kind = `${scenario}: ${code}${sqlstate === null ? "" : ` ${sqlstate}`}`;
      const count = counts.get(kind) ?? { times: 0, message: `try ${number}: ${message}` };
      counts.set(kind, { ...count, times: count.times + 1 });
    }
  }
  return [...counts].map(
    ([kind, { times, message }]) => `failed first in ${kind}, ${times} times; ${message}`,
  );
}

/**
 * A failure with everything that is needed to see it again.
 * @param options of the command, beside the try
 */
export function renderFailure(
  { scenario, workload, number, verdict }: TryResult,
  options: string,
): string {
  const sentences = Object.entries(verdict.findings).flatMap(([kind, each]) =>
    each.map((sentence: string) => `    ${kind}: ${sentence}`),
  );
  return [
    `${scenario}, try ${number}, workload ${workload}: ${verdict.what}`,
    ...sentences,
    `    again: npm run faults -- ${options} --only ${scenario} --try ${number}`,
  ].join("\n");
}

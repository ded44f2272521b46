/*
 * The cost of a rehearsal. The options of `npm run bench:rehearsal` come in, and a table goes out: what it adds to a run to
 * be observed, in time and in round trips. Nothing here judges a number.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";
import { measureObserving, type ObservingFigure } from "./observing.ts";
import { makeWorkloads } from "./workloads.ts";

const USAGE = `usage: npm run bench:rehearsal -- [--statements 500] [--round-trips-ms 0,10] [--runs 7] [--json]

Runs the same migrations with an observer and without, in turn, and prints the medians. It judges nothing.`;

function readArguments() {
  const options = {
    statements: { type: "string", default: "500" },
    "round-trips-ms": { type: "string", default: "0,10" },
    runs: { type: "string", default: "7" },
    json: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    statements: wholeNumber(values.statements),
    roundTripsMs: values["round-trips-ms"].split(",").map(wholeNumber),
    runs: wholeNumber(values.runs),
    json: values.json,
  }));
}

async function main(): Promise<void> {
  const { statements, roundTripsMs, runs, json } = readArguments();
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const workloads = await makeWorkloads(statements, scratch);
    const progress = (line: string) => console.error(line);
    const figures = await measureObserving({ workloads, roundTripsMs, runs, progress });
    console.log(json ? JSON.stringify(figures, null, 2) : render(statements, figures));
  } finally {
    await rm(scratch, { recursive: true });
  }
}

function render(statements: number, figures: readonly ObservingFigure[]): string {
  const headings = [
    `${statements} statements`,
    ...["round trip", "plain", "observed", "added", "round trips", "observed"],
  ];
  const rows = figures.map((each) => [
    ...[each.workload, `${each.roundTripMs} ms`, readable(each.plainMs), readable(each.observedMs)],
    `${(each.added * 100).toFixed(0)} %`,
    ...[String(each.plainRoundTrips), String(each.observedRoundTrips)],
  ]);
  return textTable(headings, rows);
}

await main();

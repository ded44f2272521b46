/*
 * Speed. The options of `npm run bench` come in, and tables go out: the time, round trips, processor time and memory
 * of a run, beside Drizzle's own migrator and PostgreSQL's own cost. Nothing here judges a number.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { measureBackend } from "./backend.ts";
import { findNodes, measureCold } from "./cold.ts";
import { measureGrowth } from "./growth.ts";
import { renderPlot } from "./plot.ts";
import { measureProfile } from "./profile.ts";
import {
  renderBackend,
  renderCold,
  renderGoals,
  renderGrowth,
  renderProfile,
  renderWire,
} from "./render.ts";
import { measureWire } from "./wire.ts";
import { type Workload, writeWorkload } from "./workload.ts";

const PLOT_LATENCY_MS = 10;

/** The number of backends that answer each question. */
const BACKENDS = 50;

const GROWTH = [
  { migrations: 100, statements: 1_000 },
  { migrations: 1_000, statements: 10_000 },
  { migrations: 10_000, statements: 100_000 },
];

interface Arguments {
  readonly statements: readonly number[];
  readonly roundTripsMs: readonly number[];
  readonly runs: number;
  readonly patienceMs: number;
  readonly json: boolean;
  readonly plot: string | undefined;
  readonly profile: boolean;
  readonly growth: boolean;
}

const USAGE = `usage: npm run bench -- [--statements 3,50,500,5000] [--round-trips-ms 0,1,10,50] [--runs 5] [--patience-s 60] [--plot file.svg] [--profile | --growth] [--json]

Measures the time, round trips, processor time and memory of a run, beside Drizzle's own migrator and PostgreSQL's own
cost, and judges nothing. --profile measures processor time alone, and
--growth folders of 100 to 10,000 migrations, whose rows it writes into the ledger; --plot draws the times at ${PLOT_LATENCY_MS} ms round trip.`;

function readArguments(): Arguments {
  const options = {
    statements: { type: "string", default: "3,50,500,5000" },
    "round-trips-ms": { type: "string", default: "0,1,10,50" },
    runs: { type: "string", default: "5" },
    "patience-s": { type: "string", default: "60" },
    json: { type: "boolean", default: false },
    plot: { type: "string" },
    profile: { type: "boolean", default: false },
    growth: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    statements: values.statements.split(",").map(wholeNumber),
    roundTripsMs: values["round-trips-ms"].split(",").map(wholeNumber),
    runs: wholeNumber(values.runs),
    patienceMs: wholeNumber(values["patience-s"]) * 1_000,
    json: values.json,
    plot: values.plot,
    profile: values.profile,
    growth: values.growth,
  }));
}

async function printGrowth(scratch: string, json: boolean): Promise<void> {
  const figures = await measureGrowth(GROWTH, scratch);
  console.log(json ? JSON.stringify(figures, null, 2) : renderGrowth(figures));
}

/** `npm run bench`: measures the cost of a run, beside Drizzle's own migrator and PostgreSQL's own cost. */
async function main(): Promise<void> {
  const options = readArguments();
  const { statements, roundTripsMs, runs, patienceMs, json, plot, profile } = options;
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  const started = Date.now();
  const progress = (line: string) =>
    console.error(`${Math.round((Date.now() - started) / 1_000)} s  ${line}`);
  try {
    if (options.growth) return await printGrowth(scratch, json);
    const workloads: Workload[] = [];
    for (const size of statements) {
      workloads.push(await writeWorkload(size, join(scratch, String(size))));
    }
    if (profile) {
      const figures = await measureProfile({ workloads, runs, progress });
      console.log(json ? JSON.stringify(figures, null, 2) : renderProfile(figures));
      return;
    }
    const wire = await measureWire({ workloads, roundTripsMs, runs, patienceMs, progress });
    const backend = await measureBackend(BACKENDS);
    const [workload] = workloads;
    const nodes = await findNodes();
    const cold =
      workload === undefined ? [] : await measureCold({ workload, scratch, runs: runs * 3, nodes });
    progress("cold start");
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? "processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
    if (plot !== undefined) {
      const here = wire.filter((each) => each.roundTripMs === PLOT_LATENCY_MS);
      await writeFile(plot, renderPlot(here, PLOT_LATENCY_MS));
    }
    if (json) console.log(JSON.stringify({ machine, wire, backend, cold }, null, 2));
    else {
      const parts = [
        machine,
        renderWire(wire),
        renderGoals(wire),
        renderBackend(backend),
        renderCold(cold),
      ];
      console.log(parts.join("\n\n"));
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
}

await main();

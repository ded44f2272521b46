/*
 * Cost of a fleet. Measured times come in, and the table of `docs/explanation/fleets.md` goes out, by list prices. Run by itself
 * it prints that table. Nothing here measures.
 */

import { fileURLToPath } from "node:url";

/** Processor times and times of calls, in ms, as `npm run bench:fleet -- --round-trip 10` prints them. */
export interface Basis {
  /** A call for a tenant with all migrations of the example pending. */
  readonly due: Call;
  /** A call for a tenant with nothing to do. */
  readonly asked: Call;
  /** The first call of a process, beside what a call takes. */
  readonly startMs: number;
  /** `prepare` and `report` of 10,000 tenants, as `bench/fleet/main.ts` prints them. */
  readonly stepsMs: number;
  /** `prepare` of 10,000 that the ledger knows. */
  readonly skippingMs: number;
  /** Transitions of the machine for each tenant, and for the run. */
  readonly transitions: { readonly tenant: number; readonly run: number };
}

/** One call, on a core of its own for the function and one for the server. */
interface Call {
  readonly ms: number;
  readonly functionMs: number;
  readonly serverMs: number;
}

/** The measured times of November 2026. */
export const BASIS: Basis = {
  due: { ms: 192, functionMs: 20, serverMs: 52 },
  asked: { ms: 48, functionMs: 7, serverMs: 12 },
  startMs: 770,
  stepsMs: 3_500,
  skippingMs: 1_900,
  transitions: { tenant: 1, run: 7 },
};

/** US dollars, list prices of November 2026 (aws.amazon.com/step-functions/pricing, /lambda/pricing, neon.com/pricing). */
const TRANSITION = 25 / 1e6;
const GB_SECOND = 0.0000166667;
const REQUEST = 0.2 / 1e6;
const COMPUTE_UNIT_HOUR = { launch: 0.106, scale: 0.222 };

const MEMORY_GB = 0.5;
/** A function of 1,769 MB has one core (AWS Lambda developer guide, "Configure Lambda function memory"). */
const FUNCTION_CORES = 512 / 1_769;
/** Neon's smallest compute: a quarter of a core. It sleeps after 5 minutes, and wakes in "a few hundred milliseconds". */
const COMPUTE_UNITS = 0.25;
const AWAKE_MS = 300_000;
const WAKE_MS = 500;

/** A row of the table. */
interface Fleet {
  readonly tenants: number;
  readonly due: string;
  /** Calls that apply, and calls that only ask. */
  readonly calls: { readonly due: number } | { readonly asked: number };
}

const FLEETS: readonly Fleet[] = [
  { tenants: 10, due: "all", calls: { due: 10 } },
  { tenants: 1_000, due: "all", calls: { due: 1_000 } },
  { tenants: 10_000, due: "all", calls: { due: 10_000 } },
  { tenants: 10_000, due: "1 %", calls: { due: 100 } },
  { tenants: 10_000, due: "none, ledger", calls: { due: 0 } },
  { tenants: 10_000, due: "none, asked", calls: { asked: 10_000 } },
];

/** The time of a call in Lambda with 512 MB, against a compute that has to wake, in ms: both have a part of a core. */
export function callMs({ ms, functionMs, serverMs }: Call): number {
  const slower = (time: number, cores: number) => time * (1 / cores - 1);
  return ms + slower(functionMs, FUNCTION_CORES) + slower(serverMs, COMPUTE_UNITS) + WAKE_MS;
}

/** Renders the table of costs, in Markdown. */
export function costTable(basis: Basis): string {
  const headings = ["tenants", "due", "Step Functions", "Lambda"];
  const more = ["Neon, Launch", "Neon, Scale", "50 at a time", "200 at a time"];
  const rows = FLEETS.map((fleet) => rowOf(fleet, basis));
  const lines = [[...headings, ...more], ...rows];
  const widths = lines[0]?.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const render = (line: readonly string[]) =>
    `| ${line.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths?.map((width) => "-".repeat(width)).join(" | ")} |`;
  const [first = [], ...rest] = lines;
  return [render(first), rule, ...rest.map(render)].join("\n");
}

function rowOf({ tenants, due, calls }: Fleet, basis: Basis): readonly string[] {
  const [count, ms] =
    "due" in calls ? [calls.due, callMs(basis.due)] : [calls.asked, callMs(basis.asked)];
  const stepsMs = (count === 0 ? basis.skippingMs : basis.stepsMs) * (tenants / 10_000);
  const transitions = basis.transitions.run + count * basis.transitions.tenant;
  const billedMs = (parallel: number) =>
    count * ms + Math.min(count, parallel) * basis.startMs + basis.startMs + stepsMs;
  const compute = (count * COMPUTE_UNITS * (AWAKE_MS + ms)) / 3_600_000;
  const wholeMs = (parallel: number) =>
    Math.ceil(count / parallel) * ms + (count === 0 ? 1 : 2) * basis.startMs + stepsMs;
  return [
    ...[tenants.toLocaleString("en"), due],
    dollars(transitions * TRANSITION),
    dollars((billedMs(50) / 1_000) * MEMORY_GB * GB_SECOND + (count + 2) * REQUEST),
    dollars(compute * COMPUTE_UNIT_HOUR.launch),
    dollars(compute * COMPUTE_UNIT_HOUR.scale),
    seconds(wholeMs(50)),
    seconds(wholeMs(200)),
  ];
}

/** Two figures of a price: nobody knows it better. */
function dollars(price: number): string {
  if (price === 0) return "0";
  return price >= 10 ? String(Math.round(price)) : String(Number(price.toPrecision(2)));
}

function seconds(ms: number): string {
  return `${Math.max(Math.round(ms / 1_000), 1)} s`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(costTable(BASIS));

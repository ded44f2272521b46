import { cpus } from "node:os";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { textTable } from "../speed/text-table.ts";
import type { How } from "./drizzle-loop.ts";
import { leastTime, type ProcessorTime, sumOf } from "./processor.ts";

/** What was asked for. */
export interface Arguments {
  readonly tenants: number;
  readonly parallel: number;
  readonly roundTripMs: number;
  /** For how long each login waits for its compute. */
  readonly wakeMs: number;
  /** The calls of drizzle-kit in either way, before the fleet and behind it. */
  readonly loop: number;
  readonly slices: number;
}

/** Single calls one after the other. */
export interface Sample {
  readonly ms: readonly number[];
  /** That of all of them. */
  readonly processor: ProcessorTime | null;
}

/** One execution over a part of the tenants. */
export interface Slice {
  /** Single calls before it. */
  readonly single: Sample;
  readonly ms: number;
  readonly processor: ProcessorTime | null;
  readonly report: FleetReport;
  /** The transitions of the machine and its children, as they are billed. */
  readonly transitions: number;
  /** Calls behind it, as many at a time, without the machine: ms for each tenant. */
  readonly atOnceMs: number;
}

/** The measured figures. */
export interface Measured {
  readonly slices: readonly Slice[];
  /** Single calls behind the fleet. */
  readonly behind: Sample;
  /** The same with nothing to do. */
  readonly nothing: Sample;
  /** The first call of a new process. */
  readonly firstMs: number;
  readonly loops: readonly Readonly<Record<How, readonly number[]>>[];
}

/** Renders what was measured, for a terminal. Means, because a fleet's time is that of all of its tenants. */
export function textOf(asked: Arguments, measured: Measured): string {
  const { tenants, parallel, roundTripMs, wakeMs, slices: count } = asked;
  const { slices, behind, nothing, firstMs } = measured;
  const ms = total(slices.map((slice) => slice.ms));
  const applied = total(slices.map(({ report }) => report.counts.applied));
  const failed = total(slices.map(({ report }) => report.counts.failed));
  const transitions = total(slices.map((slice) => slice.transitions));
  const single = mean([...slices.map((slice) => slice.single), behind].flatMap((each) => each.ms));
  const ideal = (tenants * single) / parallel;
  const atOnce = mean(slices.map((slice) => slice.atOnceMs));
  return [
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, PostgreSQL 18 without fsync and autovacuum`,
    `${tenants} tenants in ${count} executions, ${parallel} at a time, ${roundTripMs} ms round trip, ${wakeMs} ms to wake, list and report included: ${seconds(ms)}; ${applied} applied, ${failed} failed; ${transitions} transitions`,
    `a single call: ${Math.round(single)} ms (the first of a process ${Math.round(firstMs)}; with nothing to do ${Math.round(mean(nothing.ms))}); ${tenants} of them / ${parallel}: ${seconds(ideal)}; the fleet takes ${times(ms / ideal)}`,
    `${parallel} calls at a time without the machine: ${Math.round(atOnce)} ms for each tenant; the fleet takes ${times(ms / tenants / atOnce)}`,
    ...(["npx", "direct"] as const).map((how) => loopLine(how, tenants, ms, measured)),
    ...processorLines(tenants, ms, measured),
  ].join("\n");
}

function loopLine(how: How, tenants: number, ms: number, { loops }: Measured): string {
  const all = loops.flatMap((each) => each[how]);
  const looped = mean(all) * tenants;
  const name = how === "npx" ? "as Neon's template has it, with npx" : "without npx";
  return `a loop of drizzle-kit migrate, ${name}: ${Math.round(mean(all))} ms each over ${all.length}, ${seconds(looped)} for ${tenants}: ${times(looped / ms)} the fleet's time`;
}

function processorLines(
  tenants: number,
  ms: number,
  { slices, behind, nothing }: Measured,
): readonly string[] {
  const inFleet = sumOf(slices.map(({ processor }) => processor));
  if (inFleet === null) return [];
  const singles = [...slices.map(({ single }) => single), behind];
  const single = sumOf(singles.map(({ processor }) => processor));
  const least = leastTime(inFleet);
  const rows = [
    row("single call", single, total(singles.map((each) => each.ms.length))),
    row("in the fleet", inFleet, tenants),
    row("single call, nothing to do", nothing.processor, nothing.ms.length),
  ];
  const headings = ["processor time, ms", "function", "server", "way", "machine, stand-ins", "sum"];
  return [
    "",
    textTable(headings, rows),
    `All ${cpus().length} cores need ${seconds(least)} for that much; the fleet takes ${times(ms / least)}. Other programs took ${(inFleet.others / ms).toFixed(1)} cores meanwhile.`,
  ];
}

function row(name: string, processor: ProcessorTime | null, tenants: number): readonly string[] {
  if (processor === null) return [name];
  const { function: inFunction, server, way, machine } = processor;
  const parts = [inFunction, server, way, machine].map((part) => part / tenants);
  return [name, ...[...parts, total(parts)].map((part) => part.toFixed(1))];
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function mean(numbers: readonly number[]): number {
  return total(numbers) / numbers.length;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)} ×`;
}

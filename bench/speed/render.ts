import type { BackendFigure } from "./backend.ts";
import type { ColdFigure } from "./cold.ts";
import type { GrowthFigure } from "./growth.ts";
import type { ProfileFigure } from "./profile.ts";
import { ratio, readable } from "./statistics.ts";
import { textTable } from "./text-table.ts";
import type { WireFigure } from "./wire.ts";

/** Renders the times of the contestants, in one table for each latency. */
export function renderWire(figures: readonly WireFigure[]): string {
  const latencies = distinct(figures.map(({ roundTripMs }) => roundTripMs));
  return latencies
    .map((latency) => {
      const here = figures.filter(({ roundTripMs }) => roundTripMs === latency);
      return `At ${latency} ms round trip: median time, round trips, kB to the server\n\n${wireTable(here)}`;
    })
    .join("\n\n");
}

function wireTable(figures: readonly WireFigure[]): string {
  const sizes = distinct(figures.map(({ pending }) => pending));
  const names = distinct(figures.map(({ contestant }) => contestant));
  const headings = ["", ...sizes.map((size) => (size === 0 ? "nothing to do" : `${size} pending`))];
  const rows = names.map((name) => [
    name,
    ...sizes.map((size) => {
      const found = figures.find((each) => each.contestant === name && each.pending === size);
      if (found?.ms == null) return "-";
      const { ms, roundTrips, bytesToServer } = found;
      return `${readable(ms)} ${roundTrips} rt ${((bytesToServer ?? 0) / 1_000).toFixed(1)} kB`;
    }),
  ]);
  return textTable(headings, rows);
}

/** Renders the ratios for which docs/explanation/performance.md sets goals, as far as they were measured. */
export function renderGoals(figures: readonly WireFigure[]): string {
  const [drizzle = "", ours = "", statements = "", floor = ""] = distinct(
    figures.map(({ contestant }) => contestant),
  );
  const ms = (contestant: string, roundTripMs: number, pending: number): number =>
    figures.find(
      (each) =>
        each.contestant === contestant &&
        each.roundTripMs === roundTripMs &&
        each.pending === pending,
    )?.ms ?? Number.NaN;
  const row = (goal: string, at: number, pending: number, against: string) => [
    goal,
    ratio(ms(ours, at, pending), ms(against, at, pending)),
    ratio(ms(statements, at, pending), ms(against, at, pending)),
  ];
  return textTable(
    ["goal", "ours, drizzle", "ours, statements"],
    [
      row("nothing to do at 10 ms: at most 0.35 × Drizzle's time", 10, 0, drizzle),
      row("500 at 10 ms: at most 0.02 × Drizzle's time", 10, 500, drizzle),
      row("500 at 10 ms: at most 1.3 × the floor", 10, 500, floor),
      row("500 at 0 ms: at most 0.2 × Drizzle's time", 0, 500, drizzle),
      row("500 at 0 ms: at most 1.25 × the floor", 0, 500, floor),
      row("5,000 at 50 ms: at most 1.2 × the floor", 50, 5_000, floor),
    ],
  );
}

/** Renders the processor time of server, client and relay, by workload and contestant. */
export function renderProfile(figures: readonly ProfileFigure[]): string {
  const floorOf = (pending: number) =>
    figures.find((each) => each.pending === pending && each.contestant === "floor")?.serverMs;
  return textTable(
    ["processor time", "server", "client", "relay", "server / floor"],
    figures.map(({ contestant, pending, serverMs, clientMs, relayMs }) => [
      `${pending === 0 ? "nothing to do" : `${pending} pending`}: ${contestant}`,
      readable(serverMs),
      readable(clientMs),
      readable(relayMs),
      ratio(serverMs, floorOf(pending) ?? Number.NaN),
    ]),
  );
}

/** Renders the processor time of a fresh backend with nothing to do, part by part. */
export function renderBackend(figures: readonly BackendFigure[]): string {
  return textTable(
    ["asked of a fresh backend with nothing to do", "its processor time"],
    figures.map(({ contestant, asked, ms }) => [`${contestant}: ${asked}`, `${ms.toFixed(2)} ms`]),
  );
}

/** Renders the start of a process, by bundle and Node. */
export function renderCold(figures: readonly ColdFigure[]): string {
  return textTable(
    ["bundle", "Node", "size", "ready", "then report", "peak memory"],
    figures.map(({ bundle, node, bytes, readyMs, answerMs, peakMb }) => [
      bundle,
      node,
      `${(bytes / 1_000).toFixed(1)} kB`,
      readable(readyMs),
      readable(answerMs),
      `${peakMb.toFixed(0)} MB`,
    ]),
  );
}

/** Renders the growth with the number of migrations. */
export function renderGrowth(figures: readonly GrowthFigure[]): string {
  return textTable(
    [
      "migrations",
      "statements",
      "compile",
      "bundle",
      "read",
      "plan, fresh",
      "plan, one",
      "report",
      "nothing to do at 10 ms",
      "of the processor",
      "peak",
      "on the wire",
    ],
    figures.map((each) => [
      String(each.migrations),
      String(each.statements),
      readable(each.compileMs),
      `${(each.bundleBytes / 1e6).toFixed(1)} MB`,
      readable(each.readMs),
      readable(each.planFreshMs),
      readable(each.planMs),
      readable(each.reportMs),
      readable(each.idleMs),
      readable(each.idleProcessorMs),
      `${each.idleMb.toFixed(0)} MB`,
      `${(each.idleBytes / 1e3).toFixed(1)} kB`,
    ]),
  );
}

function distinct<Value>(values: readonly Value[]): readonly Value[] {
  return [...new Set(values)];
}

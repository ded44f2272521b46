/*
 * Lockouts. The options of `npm run bench:lockout` come in, and tables go out: how long a run keeps others from a table that
 * was there before, beside Drizzle, drizzle-kit, psql and the floor. A session that reads the table sees it; the product's
 * own figure stands beside. Nothing here judges a number.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { ratio, readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";
import { type LockoutFigure, measureLockouts } from "./measure.ts";
import { type LockoutWorkload, writeLockoutWorkload } from "./workload.ts";

const USAGE = `usage: npm run bench:lockout -- [--statements 3,50,500] [--round-trips-ms 0,10,50] [--runs 5] [--patience-s 30] [--json]

Measures how long others cannot read a table that a run changes, beside other tools, and judges nothing.`;

function readArguments() {
  const options = {
    statements: { type: "string", default: "3,50,500" },
    "round-trips-ms": { type: "string", default: "0,10,50" },
    runs: { type: "string", default: "5" },
    "patience-s": { type: "string", default: "30" },
    json: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    statements: values.statements.split(",").map(wholeNumber),
    roundTripsMs: values["round-trips-ms"].split(",").map(wholeNumber),
    runs: wholeNumber(values.runs),
    patienceMs: wholeNumber(values["patience-s"]) * 1_000,
    json: values.json,
  }));
}

async function main(): Promise<void> {
  const { statements, json, ...options } = readArguments();
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const workloads: LockoutWorkload[] = [];
    for (const size of statements) {
      workloads.push(await writeLockoutWorkload(size, join(scratch, String(size))));
    }
    const progress = (line: string) => console.error(line);
    const figures = await measureLockouts({ ...options, workloads, progress });
    console.log(json ? JSON.stringify(figures, null, 2) : render(figures));
  } finally {
    await rm(scratch, { recursive: true });
  }
}

function render(figures: readonly LockoutFigure[]): string {
  const latencies = [...new Set(figures.map(({ roundTripMs }) => roundTripMs))];
  const sizes = [...new Set(figures.map(({ statements }) => statements))];
  const names = [...new Set(figures.map(({ contestant }) => contestant))];
  const at = (contestant: string, roundTripMs: number, statements: number) =>
    figures.find(
      (each) =>
        each.contestant === contestant &&
        each.roundTripMs === roundTripMs &&
        each.statements === statements,
    );
  const floor = names.at(-1) ?? "";
  const seen = (contestant: string, roundTripMs: number, statements: number) =>
    at(contestant, roundTripMs, statements)?.seenMs ?? Number.NaN;
  const tables = latencies.map((roundTripMs) => {
    const rows = names.map((name) => [
      name,
      ...sizes.flatMap((size) => [
        readable(at(name, roundTripMs, size)?.seenMs ?? null),
        readable(at(name, roundTripMs, size)?.reportedMs ?? null),
        ratio(seen(name, roundTripMs, size), seen(floor, roundTripMs, size)),
      ]),
    ]);
    const headings = sizes.flatMap((size) => [`${size} statements`, "reported", "/ floor"]);
    return `At ${roundTripMs} ms round trip: longest wait of a read (median)\n\n${textTable(["", ...headings], rows)}`;
  });
  const [first = 0, last = 0] = [Math.min(...latencies), Math.max(...latencies)];
  const spread = textTable(
    [`${last} ms / ${first} ms`, ...sizes.map((size) => `${size} statements`)],
    names.map((name) => [
      name,
      ...sizes.map((size) => ratio(seen(name, last, size), seen(name, first, size))),
    ]),
  );
  return [...tables, spread].join("\n\n");
}

await main();

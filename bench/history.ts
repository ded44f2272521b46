/*
 * The price of the history: `npx tsx bench/history.ts [pairs]`. Runs with a history and without, in turn, through a relay on
 * loopback, each in a database of its own. It prints medians, and judges nothing.
 */

import { DEFAULT_LEDGER } from "../lib/target/target.ts";
import { preferMemory } from "../local/postgres/memory.ts";
import { startPostgres } from "../local/postgres/postgres.ts";
import { startRelay } from "../local/relay/relay.ts";
import { makeBundle, makeMigration } from "../tests/setup/make-migration.ts";
import { migrateThrough } from "./migrate-through.ts";
import { median } from "./speed/statistics.ts";

const [, , pairs = "25"] = process.argv;

const tables = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `create table t${from + index} (id int)`);
const files = (count: number, each: number) =>
  Array.from({ length: count }, (_, index) =>
    makeMigration(
      `${String(index).padStart(4, "0")}_file`,
      1_000 + index,
      ...tables(index * each, each),
    ),
  );
const FOLDERS = [
  { name: "1 file of 1 statement", bundle: makeBundle(...files(1, 1)) },
  { name: "1 file of 500 statements", bundle: makeBundle(...files(1, 500)) },
  { name: "50 files of 1 statement", bundle: makeBundle(...files(50, 1)) },
  { name: "500 files of 1 statement", bundle: makeBundle(...files(500, 1)) },
];

preferMemory();
const postgres = await startPostgres();
const { host, port, admin } = postgres;
const relay = await startRelay({ target: { host, port } });
const owner = await admin.createRole("owner");

/** One run in an empty database. */
async function timed(bundle: (typeof FOLDERS)[number]["bundle"], history: boolean) {
  await admin.createDatabase("bench", { owner: owner.name });
  const report = await migrateThrough(
    { url: postgres.url("bench", owner), relay: relay.address },
    bundle,
    {},
    { ...DEFAULT_LEDGER, history },
  );
  await admin.dropDatabase("bench");
  if (report.status !== "applied" || report.warnings.length > 0) throw new Error(report.status);
  return { ms: report.timings.executeMs, roundTrips: report.roundTrips };
}

console.log("median time of the statements in ms, and round trips; with a history and without");
for (const { name, bundle } of FOLDERS) {
  const found: Record<"on" | "off", Awaited<ReturnType<typeof timed>>[]> = { on: [], off: [] };
  for (let pair = 0; pair < Number(pairs); pair += 1) {
    // Whoever comes second finds warmer caches.
    for (const how of pair % 2 === 0 ? (["on", "off"] as const) : (["off", "on"] as const)) {
      found[how].push(await timed(bundle, how === "on"));
    }
  }
  const [on, off] = [found.on, found.off].map((runs) => median(runs.map(({ ms }) => ms)));
  const least = [found.on, found.off].map((runs) => Math.min(...runs.map(({ ms }) => ms)));
  const trips = [found.on, found.off].map((runs) =>
    [...new Set(runs.map((run) => run.roundTrips))].join("|"),
  );
  const differences = found.on.map(({ ms }, index) => ms - (found.off[index]?.ms ?? 0));
  console.log(
    `${name.padEnd(26)}${on} / ${off} ms, least ${least.join(" / ")} ms   ${trips.join(" / ")} rt   median of the differences ${median(differences)} ms`,
  );
}
await relay.stop();
await postgres.stop();

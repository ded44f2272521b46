/*
 * Fleet of databases. `npm run bench:fleet` makes real databases on one PostgreSQL, migrates them by the state machine and the
 * built function, and prints the time beside two others: as many single runs one after the other, and a loop of
 * `drizzle-kit migrate`, as Neon's own template for a database per tenant has it. One tenant is bad. Nothing here judges.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { type LocalFleet, type LocalTenant, startFleet } from "../../local/fleet/fleet.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { median } from "../speed/statistics.ts";
import { startRelayProcess } from "./relay.ts";
import { statusOfMany } from "./status.ts";

interface Arguments {
  readonly tenants: number;
  readonly parallel: number;
  readonly loop: number;
}

const USAGE = `usage: npm run bench:fleet -- [--tenants 500] [--parallel 2] [--loop 20]

Migrates so many real databases on one PostgreSQL by the machine of a fleet, beside single runs one after the other, and
beside a loop of drizzle-kit migrate over --loop of them. One tenant is bad. Judges nothing.`;

/** The migrations of the example, which every tenant gets. */
const FOLDER = "drizzle";
/** The first table of the example: a tenant that has it already fails. */
const IN_THE_WAY = "create table accounts (id int)";
const SINGLES = 12;
/** Tenants of the status that is measured. */
const MANY = 10_000;

async function main({ tenants, parallel, loop }: Arguments): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "bench-fleet-"));
  const asset = join(scratch, "asset");
  const postgres = await startPostgres({ settings: { max_connections: "200", fsync: "off" } });
  const relay = await startRelayProcess(postgres.port);
  await buildLambda(join(scratch, "handler"));
  await writeAsset(await compileBundle(FOLDER), asset, join(scratch, "handler"));
  const fleet = await startFleet({ postgres, relay: relay.address, handlerDirectory: asset });
  try {
    console.log(
      `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, PostgreSQL 18 without fsync`,
    );
    console.log(
      `${tenants} tenants with a database each, ${parallel} at a time; the last one is bad.`,
    );
    const all = await fleet.addTenants(
      Array.from({ length: tenants + SINGLES }, (_, at) => `t${at}`),
    );
    const [due, singles] = [all.slice(0, tenants), all.slice(tenants)];
    const single = await singleRuns(fleet, singles);
    await postgres.admin.sql(IN_THE_WAY, [], due.at(-1)?.database);
    const { ms, report } = await wholeFleet(fleet, due, parallel);
    const serial = await drizzleLoop(fleet, postgres, scratch, loop);
    print({ tenants, parallel, loop }, { single, ms, serial, report });
    console.log(
      `fleet status with ${MANY} tenants in the ledger: ${Math.round(await statusOfMany(fleet, MANY))} ms`,
    );
  } finally {
    await fleet.stop();
    relay.stop();
    await postgres.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Calls the warm function for one tenant after the other. @returns the median of a call, in ms */
async function singleRuns(fleet: LocalFleet, tenants: readonly LocalTenant[]): Promise<number> {
  const times: number[] = [];
  for (const { target } of tenants) {
    const started = performance.now();
    const { functionError } = await fleet.invoke({ target });
    if (functionError !== null) throw new Error(`The run of ${target.id} failed.`);
    times.push(performance.now() - started);
  }
  // The first call has to start the process.
  return median(times.slice(1));
}

async function wholeFleet(
  fleet: LocalFleet,
  tenants: readonly LocalTenant[],
  maxConcurrency: number,
) {
  const started = performance.now();
  const execution = fleet.machine.start({
    targets: { inline: tenants.map(({ target }) => target) },
    ...{ maxConcurrency, tolerated: { count: 1 }, failOn: "budget" },
  });
  await execution.ended;
  const ms = performance.now() - started;
  if (execution.status !== "SUCCEEDED") throw new Error(`${execution.error}: ${execution.cause}`);
  // The function made it.
  return { ms, report: execution.output as FleetReport };
}

/** Runs drizzle-kit as often as its template does: once for each database. @returns ms for one */
async function drizzleLoop(
  fleet: LocalFleet,
  { admin }: LocalPostgres,
  scratch: string,
  count: number,
): Promise<number> {
  const tenants = await fleet.addTenants(Array.from({ length: count }, (_, at) => `loop${at}`));
  const config = join(scratch, "drizzle.config.json");
  const program = join(dirname(createRequire(import.meta.url).resolve("drizzle-kit")), "bin.cjs");
  const started = performance.now();
  for (const { url } of tenants) {
    const settings = { dialect: "postgresql", out: resolve(FOLDER), dbCredentials: { url } };
    writeFileSync(config, JSON.stringify(settings));
    execFileSync(process.execPath, [program, "migrate", `--config=${config}`], { stdio: "pipe" });
  }
  const ms = (performance.now() - started) / count;
  for (const { database } of tenants) {
    await admin.sql("select from drizzle.__drizzle_migrations", [], database);
  }
  return ms;
}

interface Measured {
  readonly single: number;
  readonly ms: number;
  readonly serial: number;
  readonly report: FleetReport;
}

function print(
  { tenants, parallel, loop }: Arguments,
  { single, ms, serial, report }: Measured,
): void {
  const ideal = (tenants * single) / parallel;
  const looped = serial * tenants;
  const seconds = (value: number) => `${(value / 1_000).toFixed(1)} s`;
  const { applied, failed } = report.counts;
  console.log(
    `the fleet, list and report included: ${seconds(ms)}; ${applied} applied, ${failed} failed`,
  );
  console.log(
    `${tenants} single runs of ${Math.round(single)} ms / ${parallel}: ${seconds(ideal)}; ratio ${(ms / ideal).toFixed(2)}`,
  );
  console.log(
    `a loop of drizzle-kit migrate: ${Math.round(serial)} ms each over ${loop}, ${seconds(looped)} for ${tenants}; ${(looped / ms).toFixed(1)} × the fleet's`,
  );
}

await main(
  readCommandLine(
    {
      usage: USAGE,
      config: {
        options: {
          tenants: { type: "string", default: "500" },
          parallel: { type: "string", default: "2" },
          loop: { type: "string", default: "20" },
        },
      },
    },
    ({ values }) => ({
      tenants: wholeNumber(values.tenants),
      parallel: wholeNumber(values.parallel),
      loop: wholeNumber(values.loop),
    }),
  ),
);

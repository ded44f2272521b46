/*
 * Fleet of databases. `npm run bench:fleet` makes real databases on one PostgreSQL, migrates them by the state machine and the
 * built function, and prints the time beside two others: single calls of the same warm function one after the other, and a
 * loop of `drizzle-kit migrate`, as Neon's own template for a database per tenant has it. Both are measured before and behind
 * the fleet, over ways with the same round trip. One tenant is bad. Nothing here judges.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { type LocalFleet, type LocalTenant, startFleet } from "../../local/fleet/fleet.ts";
import { preferMemory } from "../../local/postgres/memory.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { type How, prepareDrizzleKit } from "./drizzle-loop.ts";
import { countProcessor } from "./processor.ts";
import { type Arguments, type Measured, type Sample, type Slice, textOf } from "./result.ts";
import { statusOfMany } from "./status.ts";
import { startWay, type Way } from "./way.ts";

const USAGE = `usage: npm run bench:fleet -- [--tenants 500] [--parallel 2] [--round-trip 0] [--wake 0] [--loop 10] [--slices 1]

Migrates so many real databases on one PostgreSQL by the machine of a fleet, beside single calls one after the other, and
beside drizzle-kit migrate over --loop of them with npx and as many without. --round-trip is in ms, on the way to the
server, and --wake is the time in ms for which each login waits for a compute. With --slices the
tenants are migrated in so many executions, and single calls measured between them, for a computer with other work to do.
One tenant is bad. Judges nothing.`;

/** The migrations of the example, which every tenant gets. */
const FOLDER = "drizzle";
/** The first table of the example: a tenant that has it already fails. */
const IN_THE_WAY = "create table accounts (id int)";
/** Calls before the first that is counted: by then the compiler of Node has seen what is run often. */
const WARM_UP = 40;
/** Single calls that are counted before the fleet, with its slices, and behind it. */
const SINGLES = 30;
/** For 500 databases of one server, autovacuum would start eight workers a second; Neon's tenants have a server each. */
const SETTINGS = { max_connections: "200", fsync: "off", autovacuum: "off" };
const NEON_HOST = "ep-long-night-12345678.eu-central-1.aws.neon.tech:5432";
/** Tenants of the status that is measured. */
const MANY = 10_000;

async function main(options: Arguments): Promise<void> {
  preferMemory();
  const scratch = mkdtempSync(join(tmpdir(), "bench-fleet-"));
  const asset = join(scratch, "asset");
  const postgres = await startPostgres({ settings: SETTINGS });
  const way = await startWay(postgres.port, options);
  await buildLambda(join(scratch, "handler"));
  await writeAsset(await compileBundle(FOLDER), asset, join(scratch, "handler"));
  const fleet = await startFleet({ postgres, relay: way.relay, handlerDirectory: asset });
  try {
    const bench = new Bench({ fleet, way, directory: postgres.directory, scratch });
    const due = await bench.add(options.tenants);
    const bad = due[Math.floor(options.tenants / 2)];
    await postgres.admin.sql(IN_THE_WAY, [], bad?.database);
    console.log(textOf(options, await bench.measure(due, options)));
    const status = await statusOfMany(fleet, MANY);
    console.log(`fleet status with ${MANY} tenants in the ledger: ${Math.round(status)} ms`);
  } finally {
    await fleet.stop();
    way.stop();
    await postgres.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Place {
  readonly fleet: LocalFleet;
  readonly way: Way;
  /** PostgreSQL's. */
  readonly directory: string;
  readonly scratch: string;
}

class Bench {
  readonly #place: Place;
  readonly #parts: Parameters<typeof countProcessor>[0];
  readonly #drizzleKit: ReturnType<typeof prepareDrizzleKit>;
  #added = 0;

  constructor(place: Place) {
    this.#place = place;
    this.#parts = { directory: place.directory, wayPid: place.way.pid };
    this.#drizzleKit = prepareDrizzleKit(place.scratch, FOLDER);
  }

  async measure(due: readonly LocalTenant[], asked: Arguments): Promise<Measured> {
    const { parallel, loop, slices: count } = asked;
    const [firstMs = 0] = await this.#singles(await this.add(WARM_UP));
    const size = Math.ceil(due.length / count);
    const slices: Slice[] = [];
    const loops = [await this.#loop(loop)];
    for (let at = 0; at < due.length; at += size) {
      slices.push(await this.#slice(due.slice(at, at + size), parallel, SINGLES / count));
    }
    loops.push(await this.#loop(loop));
    const known = await this.add(SINGLES);
    const behind = await this.#count(known);
    return { slices, behind, loops, firstMs, nothing: await this.#count(known) };
  }

  async #slice(due: readonly LocalTenant[], parallel: number, singles: number): Promise<Slice> {
    const { machine } = this.#place.fleet;
    const single = await this.#count(await this.add(Math.max(Math.round(singles), 5)));
    const transitions = machine.transitions();
    const run = await countProcessor(this.#parts, () => runFleet(machine, due, parallel));
    return {
      ...{ single, ms: run.ms, processor: run.processor, report: run.result },
      transitions: machine.transitions() - transitions,
      atOnceMs: await this.#atOnce(await this.add(Math.ceil(due.length / 4)), parallel),
    };
  }

  async #count(tenants: readonly LocalTenant[]): Promise<Sample> {
    const { result, processor } = await countProcessor(this.#parts, () => this.#singles(tenants));
    return { ms: result, processor };
  }

  /** Calls the function for one tenant after the other. @returns ms of each call */
  async #singles(tenants: readonly LocalTenant[]): Promise<readonly number[]> {
    const times: number[] = [];
    for (const { target } of tenants) {
      const started = performance.now();
      const { functionError } = await this.#place.fleet.invoke({ target });
      times.push(performance.now() - started);
      if (functionError !== null) throw new Error(`The run of ${target.id} failed.`);
    }
    return times;
  }

  /** Calls the function for so many tenants at a time. @returns ms for each of the tenants */
  async #atOnce(tenants: readonly LocalTenant[], parallel: number): Promise<number> {
    const lanes = Array.from({ length: parallel }, (_, lane) =>
      tenants.filter((_tenant, at) => at % parallel === lane),
    );
    const started = performance.now();
    await Promise.all(lanes.map((lane) => this.#singles(lane)));
    return (performance.now() - started) / tenants.length;
  }

  async #loop(calls: number): Promise<Readonly<Record<How, readonly number[]>>> {
    const times = { npx: [] as number[], direct: [] as number[] };
    for (const how of Array.from({ length: calls }, () => ["npx", "direct"] as const).flat()) {
      const [tenant] = await this.add(1);
      times[how].push(this.#drizzleKit(this.#place.way.overTcp(tenant?.url ?? ""), how));
    }
    return times;
  }

  /** Makes tenants, whose connection strings have a host of Neon's, as the relay in front of them is one. */
  async add(count: number): Promise<readonly LocalTenant[]> {
    const { fleet } = this.#place;
    const ids = Array.from({ length: count }, (_, at) => `t${this.#added + at}`);
    this.#added += count;
    const tenants = await fleet.addTenants(ids);
    for (const { target, url } of tenants) {
      const onNeon = new URL(url);
      onNeon.host = NEON_HOST;
      fleet.secrets.set(target.parameter, onNeon.href);
    }
    return tenants;
  }
}

async function runFleet(
  machine: LocalFleet["machine"],
  tenants: readonly LocalTenant[],
  maxConcurrency: number,
): Promise<FleetReport> {
  const execution = machine.start({
    targets: { inline: tenants.map(({ target }) => target) },
    ...{ maxConcurrency, tolerated: { count: 1 }, failOn: "budget" },
  });
  await execution.ended;
  if (execution.status !== "SUCCEEDED") throw new Error(`${execution.error}: ${execution.cause}`);
  // The function made it.
  return execution.output as FleetReport;
}

await main(
  readCommandLine(
    {
      usage: USAGE,
      config: {
        options: {
          tenants: { type: "string", default: "500" },
          parallel: { type: "string", default: "2" },
          "round-trip": { type: "string", default: "0" },
          wake: { type: "string", default: "0" },
          loop: { type: "string", default: "10" },
          slices: { type: "string", default: "1" },
        },
      },
    },
    ({ values }) => ({
      tenants: wholeNumber(values.tenants),
      parallel: wholeNumber(values.parallel),
      roundTripMs: wholeNumber(values["round-trip"]),
      wakeMs: wholeNumber(values.wake),
      loop: wholeNumber(values.loop),
      slices: wholeNumber(values.slices),
    }),
  ),
);

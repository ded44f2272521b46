import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
import { CONTESTANTS, type Contestant, type Site } from "./contestants.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** The figure of one contestant, one workload and one latency. */
export interface WireFigure {
  readonly contestant: string;
  readonly roundTripMs: number;
  /** The number of pending statements; 0 for a run with nothing to do. */
  readonly pending: number;
  /** Median, in ms, from before the connection to after its end; null where it would take too long. */
  readonly ms: number | null;
  readonly runs: number;
  /** Round trips of the first connection, as the relay counts them: the upgrade, and each turn of the client. */
  readonly roundTrips: number | null;
  readonly bytesToServer: number | null;
}

/** The input of the measurement. */
export interface WireOptions {
  readonly workloads: readonly Workload[];
  readonly roundTripsMs: readonly number[];
  readonly runs: number;
  /** The longest expected time, in ms. A contestant that is expected to take longer is left out. */
  readonly patienceMs: number;
  progress(line: string): void;
}

interface Place {
  readonly postgres: LocalPostgres;
  readonly relay: Relay;
  readonly role: { readonly name: string; readonly password: string };
}

interface Sample {
  readonly ms: number;
  readonly roundTrips: number;
  readonly bytesToServer: number;
}

const DATABASE = "bench";

/** The round trip that makes a WebSocket of an HTTP connection; the relay counts from there. */
const UPGRADE = 1;

/** More runs than for a workload: a short run is disturbed more by the machine. */
const RUNS_WITH_NOTHING = 31;

/** Measures every contestant on every workload over every latency, in turn, so that all have the same conditions. */
export async function measureWire(options: WireOptions): Promise<readonly WireFigure[]> {
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  try {
    const role = await postgres.admin.createRole("bench");
    const place = { postgres, relay, role };
    const figures: WireFigure[] = [];
    for (const roundTripMs of options.roundTripsMs) {
      relay.setRoundTripMs(roundTripMs);
      figures.push(...(await measureNothing(place, roundTripMs, options)));
      for (const workload of options.workloads) {
        figures.push(...(await measureFresh(place, workload, roundTripMs, options)));
        options.progress(`${workload.statements} statements at ${roundTripMs} ms`);
      }
    }
    return figures;
  } finally {
    await relay.stop();
    await postgres.stop();
  }
}

async function measureFresh(
  place: Place,
  workload: Workload,
  roundTripMs: number,
  { runs, patienceMs }: WireOptions,
): Promise<readonly WireFigure[]> {
  const samples = new Map<Contestant, Sample[]>(CONTESTANTS.map((each) => [each, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const [contestant, taken] of samples) {
      const last = taken.at(-1)?.ms ?? expectedMs(contestant, workload, roundTripMs);
      // A long run is measured once: its noise is small.
      if (last > patienceMs || (run > 0 && last > patienceMs / 10)) continue;
      await emptyDatabase(place);
      taken.push(await sample(place, (site) => contestant.apply(workload, site)));
    }
  }
  return Array.from(samples, ([{ name }, taken]) =>
    figure(name, roundTripMs, workload.statements, taken),
  );
}

async function measureNothing(
  place: Place,
  roundTripMs: number,
  { workloads }: WireOptions,
): Promise<readonly WireFigure[]> {
  const [workload] = workloads;
  const [, ours] = CONTESTANTS;
  if (workload === undefined || ours === undefined) return [];
  await emptyDatabase(place);
  await sample(place, (site) => ours.apply(workload, site));
  const samples = new Map<Contestant, Sample[]>(CONTESTANTS.map((each) => [each, []]));
  for (let run = 0; run < RUNS_WITH_NOTHING; run += 1) {
    for (const [contestant, taken] of samples) {
      taken.push(await sample(place, (site) => contestant.applyNothing(workload, site)));
    }
  }
  return Array.from(samples, ([{ name }, taken]) => figure(name, roundTripMs, 0, taken));
}

/** Estimates the time of a contestant. Drizzle's migrator waits for each statement. */
function expectedMs({ name }: Contestant, { statements }: Workload, roundTripMs: number): number {
  return name.startsWith("Drizzle") ? statements * 1.2 * roundTripMs : 0;
}

async function emptyDatabase({ postgres, role }: Place): Promise<void> {
  await postgres.admin.dropDatabase(DATABASE);
  await postgres.admin.createDatabase(DATABASE, { owner: role.name });
}

async function sample(
  { postgres, relay, role }: Place,
  work: (site: Site) => Promise<void>,
): Promise<Sample> {
  relay.resetStats();
  const started = performance.now();
  await work({ url: postgres.url(DATABASE, role), relay: relay.address });
  const ms = performance.now() - started;
  const { perConnection, connections, bytesToServer } = relay.stats();
  // A long run asks on a second connection which session blocks it, and does not wait for the answer.
  const first = perConnection.at(-connections);
  return { ms, roundTrips: UPGRADE + (first?.roundTrips ?? 0), bytesToServer };
}

function figure(
  contestant: string,
  roundTripMs: number,
  pending: number,
  taken: readonly Sample[],
): WireFigure {
  const middle = (pick: (sample: Sample) => number) =>
    taken.length === 0 ? null : median(taken.map(pick));
  return {
    contestant,
    roundTripMs,
    pending,
    ms: middle(({ ms }) => ms),
    runs: taken.length,
    roundTrips: middle(({ roundTrips }) => roundTrips),
    bytesToServer: middle(({ bytesToServer }) => bytesToServer),
  };
}

import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
import { type DelayedPort, openDelayedPort } from "../delayed-port.ts";
import { migrateThrough } from "../migrate-through.ts";
import { median } from "../speed/statistics.ts";
import { type LockoutContestant, lockoutContestants } from "./contestants.ts";
import { startWitness } from "./witness.ts";
import { FIRST_TABLE, type LockoutWorkload } from "./workload.ts";

/** The figure of one contestant, one workload and one latency. */
export interface LockoutFigure {
  readonly contestant: string;
  readonly roundTripMs: number;
  readonly statements: number;
  /** Longest wait of a read of the first table, in ms, by the server's clock: the median; null where it was left out. */
  readonly seenMs: number | null;
  /** The same by the contestant's own report; null where it does not say. */
  readonly reportedMs: number | null;
  readonly runs: number;
}

/** The input of the measurement. */
export interface LockoutOptions {
  readonly workloads: readonly LockoutWorkload[];
  readonly roundTripsMs: readonly number[];
  readonly runs: number;
  /** The longest expected time, in ms. A contestant that is expected to take longer is left out. */
  readonly patienceMs: number;
  progress(line: string): void;
}

interface Place {
  readonly postgres: LocalPostgres;
  readonly relay: Relay;
  readonly tcp: DelayedPort;
  readonly role: { readonly name: string; readonly password: string };
}

interface Sample {
  readonly seenMs: number;
  readonly reportedMs: number | null;
}

const DATABASE = "bench";

/** Measures every contestant on every workload over every latency, in turn, so that all have the same conditions. */
export async function measureLockouts(options: LockoutOptions): Promise<readonly LockoutFigure[]> {
  const postgres = await startPostgres();
  const target = { host: postgres.host, port: postgres.port };
  const [relay, tcp] = [await startRelay({ target }), await openDelayedPort(target)];
  try {
    const role = await postgres.admin.createRole("bench");
    const place = { postgres, relay, tcp, role };
    const contestants = await lockoutContestants();
    const figures: LockoutFigure[] = [];
    for (const roundTripMs of options.roundTripsMs) {
      relay.setRoundTripMs(roundTripMs);
      tcp.setRoundTripMs(roundTripMs);
      for (const workload of options.workloads) {
        const { statements } = workload;
        const taken = await measureAll(place, workload, contestants, { ...options, roundTripMs });
        for (const [{ name }, samples] of taken) {
          figures.push(figureOf({ contestant: name, roundTripMs, statements }, samples));
        }
        options.progress(`${statements} statements at ${roundTripMs} ms`);
      }
    }
    return figures;
  } finally {
    await tcp.stop();
    await relay.stop();
    await postgres.stop();
  }
}

async function measureAll(
  place: Place,
  workload: LockoutWorkload,
  contestants: readonly LockoutContestant[],
  { runs, patienceMs, roundTripMs }: LockoutOptions & { readonly roundTripMs: number },
): Promise<ReadonlyMap<LockoutContestant, readonly Sample[]>> {
  const samples = new Map<LockoutContestant, Sample[]>(contestants.map((each) => [each, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const [contestant, taken] of samples) {
      const expectedMs = contestant.waits ? workload.statements * 1.2 * roundTripMs : 0;
      // A long run is measured once: its noise is small.
      if (expectedMs > patienceMs || (run > 0 && expectedMs > patienceMs / 10)) continue;
      taken.push(await sample(place, workload, contestant));
    }
  }
  return samples;
}

async function sample(
  { postgres, relay, tcp, role }: Place,
  workload: LockoutWorkload,
  contestant: LockoutContestant,
): Promise<Sample> {
  await postgres.admin.dropDatabase(DATABASE);
  await postgres.admin.createDatabase(DATABASE, { owner: role.name });
  const url = postgres.url(DATABASE, role);
  const tcpUrl = new URL(url);
  tcpUrl.port = String(tcp.port);
  // An earlier deployment, so that the ledger and the history are there.
  const before = await migrateThrough({ url, relay: relay.address }, workload.before);
  if (before.status !== "applied") throw new Error(before.error?.message);
  const witness = await startWitness(url, `from ${FIRST_TABLE} limit 1`);
  const site = { url, relay: relay.address, tcpUrl: tcpUrl.href };
  const reportedMs = await contestant.apply(workload, site);
  return { seenMs: await witness.end(), reportedMs };
}

function figureOf(
  of: Pick<LockoutFigure, "contestant" | "roundTripMs" | "statements">,
  samples: readonly Sample[],
): LockoutFigure {
  const reported = samples.flatMap(({ reportedMs }) => reportedMs ?? []);
  return {
    ...of,
    seenMs: samples.length === 0 ? null : median(samples.map(({ seenMs }) => seenMs)),
    reportedMs: reported.length === 0 ? null : median(reported),
    runs: samples.length,
  };
}

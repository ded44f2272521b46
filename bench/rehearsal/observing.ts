import { silentLog } from "../../lib/log.ts";
import { type Dependencies, migrate } from "../../lib/migrate/migrate.ts";
import { Observer } from "../../lib/rehearsal/observe.ts";
import {
  FACTS_QUESTION,
  RELATIONS_QUESTION,
  readFacts,
  readRelations,
} from "../../lib/rehearsal/relations.ts";
import { parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER } from "../../lib/target/target.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../../local/relay/relay.ts";
import { median } from "../speed/statistics.ts";
import type { Workload } from "./workloads.ts";

/** The cost of observing one workload over one latency. All times are medians, in ms. */
export interface ObservingFigure {
  readonly workload: string;
  readonly roundTripMs: number;
  readonly runs: number;
  /** From the first statement to the last COMMIT. */
  readonly plainMs: number;
  readonly observedMs: number;
  /** The median of what each pair of runs, one behind the other, differs by: 0.1 is 10 %. */
  readonly added: number;
  readonly plainRoundTrips: number;
  readonly observedRoundTrips: number;
}

export interface ObservingOptions {
  readonly workloads: readonly Workload[];
  readonly roundTripsMs: readonly number[];
  readonly runs: number;
  progress(line: string): void;
}

interface Place {
  readonly postgres: LocalPostgres;
  readonly relay: Relay;
}

interface Sample {
  readonly ms: number;
  readonly roundTrips: number;
}

const DATABASE = "observing";
const TEMPLATE = "observing_before";

/** Runs every workload with an observer and without, in turn, so that both have the same conditions. */
export async function measureObserving({
  workloads,
  roundTripsMs,
  runs,
  progress,
}: ObservingOptions): Promise<readonly ObservingFigure[]> {
  // 500 tables of one transaction have some thousand locks.
  const postgres = await startPostgres({ settings: { max_locks_per_transaction: "256" } });
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  try {
    const figures: ObservingFigure[] = [];
    for (const workload of workloads) {
      await prepare(postgres, workload);
      for (const roundTripMs of roundTripsMs) {
        relay.setRoundTripMs(roundTripMs);
        const pairs: (readonly [Sample, Sample])[] = [];
        while (pairs.length < runs) pairs.push(await pairOf({ postgres, relay }, workload, pairs));
        figures.push(figureOf(workload.name, roundTripMs, pairs));
        progress(`${workload.name} at ${roundTripMs} ms`);
      }
    }
    return figures;
  } finally {
    await relay.stop();
    await postgres.stop();
  }
}

async function prepare({ admin }: LocalPostgres, { before }: Workload): Promise<void> {
  await admin.dropDatabase(TEMPLATE);
  await admin.createDatabase(TEMPLATE);
  if (before !== "") await admin.sql(before, [], TEMPLATE);
}

/** Takes turns in who is first: the second run finds the server's caches warm. */
async function pairOf(
  place: Place,
  workload: Workload,
  { length }: readonly unknown[],
): Promise<readonly [Sample, Sample]> {
  if (length % 2 === 0) {
    const plain = await sample(place, workload, false);
    return [plain, await sample(place, workload, true)];
  }
  const observed = await sample(place, workload, true);
  return [await sample(place, workload, false), observed];
}

async function sample(
  { postgres, relay }: Place,
  { bundle }: Workload,
  isObserved: boolean,
): Promise<Sample> {
  const { admin } = postgres;
  await admin.dropDatabase(DATABASE);
  await admin.createDatabase(DATABASE, { template: TEMPLATE });
  const relations = readRelations(
    await admin.sql(RELATIONS_QUESTION, [], DATABASE),
    DEFAULT_LEDGER,
  );
  const facts = readFacts(await admin.sql(FACTS_QUESTION, [], DATABASE));
  const observer = new Observer(relations, facts);
  const url = postgres.url(DATABASE);
  const target = { url, relay: relay.address, ledger: DEFAULT_LEDGER };
  const dependencies: Dependencies = {
    ...{ bundle, requestId: "bench", deadline: null, log: silentLog },
    target: () => ({ ...target, connectTimeoutMs: 10_000, warnings: [] }),
    ...(isObserved ? { observer } : {}),
  };
  const request = parseRequest({ executor: "statements", timeoutMs: 900_000 });
  const { error, roundTrips, timings } = await migrate(request, dependencies);
  if (error !== undefined) throw new Error(error.message);
  return { ms: timings.executeMs, roundTrips };
}

function figureOf(
  workload: string,
  roundTripMs: number,
  pairs: readonly (readonly [Sample, Sample])[],
): ObservingFigure {
  const middle = (pick: (pair: readonly [Sample, Sample]) => number) => median(pairs.map(pick));
  return {
    ...{ workload, roundTripMs, runs: pairs.length },
    plainMs: middle(([{ ms }]) => ms),
    observedMs: middle(([, { ms }]) => ms),
    added: middle(([plain, observed]) => observed.ms / plain.ms - 1),
    plainRoundTrips: middle(([{ roundTrips }]) => roundTrips),
    observedRoundTrips: middle(([, { roundTrips }]) => roundTrips),
  };
}

import { cp } from "node:fs/promises";
import { join } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { type Started, startFunction } from "./function-process.ts";
import { median } from "./statistics.ts";

/** What the deployed function needs for a run with nothing to do, as medians, over `IDLE_ROUND_TRIP_MS`. */
export interface Idle {
  /** From the call to the report. */
  readonly idleMs: number;
  /** The processor time of that. */
  readonly idleProcessorMs: number;
  /** Peak memory, in MB. */
  readonly idleMb: number;
  /** The bytes on the wire, of both directions. */
  readonly idleBytes: number;
}

/** A function with its bundle, and a database. */
interface Site {
  readonly database: string;
  readonly folder: string;
}

/** Runs the function on the bundles of several folders, each in a database of its own. */
export interface Rig {
  /** @param compiled the folder of the compiled bundle */
  settle(compiled: string): Promise<Site>;
  /** Writes a row for each migration, as if everything was applied. */
  fill(site: Site, bundle: Bundle): Promise<void>;
  /** Runs at each site in turn, where nothing is pending. */
  idle(sites: readonly Site[]): Promise<readonly Idle[]>;
  stop(): Promise<void>;
}

interface Taken {
  readonly site: Site;
  readonly taken: (Started & { readonly bytes: number })[];
}

/** The memory that the construct gives a function by default. */
const MEMORY_MB = 512;
/** The latency of a database in the same region. */
const IDLE_ROUND_TRIP_MS = 10;
const IDLE_RUNS = 9;

/** Starts a rig. @param scratch an empty folder */
export async function startRig(scratch: string): Promise<Rig> {
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  const handler = join(scratch, "handler");
  await buildLambda(handler);
  let sites = 0;
  const call = async ({ database, folder }: Site) => {
    const environment = { DATABASE_URL: postgres.url(database), NEON_WS_PROXY: relay.address };
    relay.resetStats();
    const started = await startFunction({ folder, environment, memoryMb: MEMORY_MB });
    assertUpToDate(started);
    const { bytesToServer, bytesToClient } = relay.stats();
    return { ...started, bytes: bytesToServer + bytesToClient };
  };
  return {
    settle: async (compiled) => {
      sites += 1;
      const database = `growth_${sites}`;
      const folder = join(scratch, database);
      await postgres.admin.createDatabase(database);
      await cp(handler, folder, { recursive: true });
      await cp(compiled, folder, { recursive: true });
      return { database, folder };
    },
    fill: async ({ database }, { migrations }) => {
      const rows = migrations.map(({ hash, when }) => `('${hash}', ${when})`);
      const ledger = `drizzle.__drizzle_migrations`;
      await postgres.admin.sql(
        `create schema drizzle;
         create table ${ledger} (id serial primary key, hash text not null, created_at bigint);
         insert into ${ledger} (hash, created_at) select * from (values ${rows.join(", ")}) as v`,
        [],
        database,
      );
    },
    idle: async (all) => {
      relay.setRoundTripMs(IDLE_ROUND_TRIP_MS);
      const runs = all.map((site): Taken => ({ site, taken: [] }));
      for (let run = 0; run < IDLE_RUNS; run += 1) {
        for (const { site, taken } of runs) taken.push(await call(site));
      }
      return runs.map(({ taken }) => ({
        idleMs: median(taken.map(({ answerMs }) => answerMs)),
        idleProcessorMs: median(taken.map(({ processorMs }) => processorMs)),
        idleMb: median(taken.map(({ peakMb }) => peakMb)),
        idleBytes: median(taken.map(({ bytes }) => bytes)),
      }));
    },
    stop: async () => {
      await relay.stop();
      await postgres.stop();
    },
  };
}

function assertUpToDate({ answer }: Started): void {
  if (typeof answer === "object" && answer !== null) {
    if (Reflect.get(answer, "status") === "up-to-date") return;
  }
  const text = JSON.stringify(answer).slice(0, 2_000);
  throw new Error(`The function did not answer "up-to-date": ${text}`);
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { type Started, startFunction } from "./function-process.ts";
import { median } from "./statistics.ts";

/** The memory and the time that the deployed function needs for a bundle. */
export interface Runs {
  /** Peak memory of a fresh apply, in MB. */
  readonly applyMb: number;
  /** Peak memory with every migration in the ledger already, median in MB. */
  readonly idleMb: number;
  /** From the call to the report with nothing to do, median in ms, over `IDLE_ROUND_TRIP_MS`. */
  readonly idleMs: number;
}

/** Runs the function on one bundle after the other, each in a database of its own. */
export interface Rig {
  measure(bundleText: string): Promise<Runs>;
  stop(): Promise<void>;
}

/** The memory that the construct gives a function by default. */
const MEMORY_MB = 512;
/** The latency of a database in the same region. */
const IDLE_ROUND_TRIP_MS = 10;
const IDLE_RUNS = 3;

/** One transaction for each migration: PostgreSQL's table of locks cannot hold ten thousand tables of one. */
const APPLY = { transaction: "each" };

/** Starts a rig. @param scratch an empty folder */
export async function startRig(scratch: string): Promise<Rig> {
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  await buildLambda(scratch);
  let databases = 0;
  return {
    measure: async (bundleText) => {
      databases += 1;
      const name = `growth_${databases}`;
      await postgres.admin.createDatabase(name);
      await writeFile(join(scratch, "bundle.json"), bundleText);
      const environment = { DATABASE_URL: postgres.url(name), NEON_WS_PROXY: relay.address };
      const start = { folder: scratch, environment, memoryMb: MEMORY_MB };
      relay.setRoundTripMs(0);
      const applied = await startFunction({ ...start, event: APPLY });
      relay.setRoundTripMs(IDLE_ROUND_TRIP_MS);
      const idle: Started[] = [];
      while (idle.length < IDLE_RUNS) idle.push(await startFunction(start));
      assertStatus(applied, "applied");
      for (const each of idle) assertStatus(each, "up-to-date");
      return {
        applyMb: applied.peakMb,
        idleMb: median(idle.map(({ peakMb }) => peakMb)),
        idleMs: median(idle.map(({ answerMs }) => answerMs)),
      };
    },
    stop: async () => {
      await relay.stop();
      await postgres.stop();
    },
  };
}

function assertStatus({ answer }: Started, status: string): void {
  if (typeof answer === "object" && answer !== null && Reflect.get(answer, "status") === status) {
    return;
  }
  throw new Error(`The function did not answer "${status}": ${JSON.stringify(answer)}`);
}

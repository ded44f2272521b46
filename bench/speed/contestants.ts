import { join } from "node:path";
import { Client, Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate as drizzleMigrate } from "drizzle-orm/neon-serverless/migrator";
import { WebSocket } from "ws";
import { openBundle } from "../../lib/bundle/open-bundle.ts";
import { migrateThrough } from "../migrate-through.ts";
import type { Workload } from "./workload.ts";

/** The place where a contestant works. */
export interface Site {
  /** The owner's connection string. */
  readonly url: string;
  /** The relay's address, as in `NEON_WS_PROXY`. */
  readonly relay: string;
}

/** One way to apply migrations, from before the connection to after its end. */
export interface Contestant {
  readonly name: string;
  /** Applies the workload to an empty database. */
  apply(workload: Workload, site: Site): Promise<void>;
  /** Runs on a database to which the workload is applied already. */
  applyNothing(workload: Workload, site: Site): Promise<void>;
}

const byUs =
  (executor: "auto" | "statements"): Contestant["apply"] =>
  (workload, site) =>
    applyByUs(workload, site, executor);

/** The contestants. All use the same driver over the same relay, and send the password ahead as on Neon. */
export const CONTESTANTS: readonly Contestant[] = [
  { name: "Drizzle 0.45.4", apply: applyByDrizzle, applyNothing: applyByDrizzle },
  { name: "ours, drizzle", apply: byUs("auto"), applyNothing: byUs("auto") },
  { name: "ours, statements", apply: byUs("statements"), applyNothing: byUs("statements") },
  {
    name: "floor",
    apply: ({ oneQuery }, site) => send(oneQuery, site),
    applyNothing: (_workload, site) => send("select 1", site),
  },
];

/** Applies a folder by Drizzle's own migrator. */
export async function applyByDrizzle(
  { folder }: Pick<Workload, "folder">,
  site: Site,
): Promise<void> {
  const pool = openPool(site);
  await drizzleMigrate(drizzle(pool), { migrationsFolder: folder });
  await pool.end();
}

async function applyByUs(
  { bundle: folder }: Workload,
  site: Site,
  executor: "auto" | "statements",
): Promise<void> {
  const bundle = openBundle(join(folder, "bundle.json"));
  const report = await migrateThrough(site, bundle, { executor, timeoutMs: 900_000 });
  if (report.status === "failed") throw new Error(report.error?.message);
}

/** Sends one simple query on one raw connection: PostgreSQL's own cost. */
export async function send(text: string, site: Site): Promise<void> {
  const pool = openPool(site);
  const client = await pool.connect();
  client.on("error", () => undefined);
  await client.query(text);
  client.release(true);
  await pool.end();
}

function openPool({ url, relay }: Site): Pool {
  class RelayedClient extends Client {
    constructor(config: ConstructorParameters<typeof Client>[0]) {
      super(config);
      this.neonConfig.wsProxy = (host, port) => `${relay}?address=${host}:${port}`;
      this.neonConfig.useSecureWebSocket = false;
      this.neonConfig.webSocketConstructor = WebSocket;
    }
  }
  const pool = new Pool({ connectionString: url, max: 1 });
  // The driver ignores a `Client` among the options.
  Reflect.set(pool, "Client", RelayedClient);
  pool.on("error", () => undefined);
  return pool;
}

import { Client, Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate as drizzleMigrate } from "drizzle-orm/neon-serverless/migrator";
import { WebSocket } from "ws";
import { readBundle } from "../../lib/bundle/read-bundle.ts";
import { migrateThrough } from "../migrate-through.ts";
import type { Workload } from "./workload.ts";

/** Where a contestant works. */
export interface Site {
  /** The owner's connection string. */
  readonly url: string;
  /** The relay's address, as in `NEON_WS_PROXY`. */
  readonly relay: string;
}

/** One way to apply migrations, from before the connection to behind it. */
export interface Contestant {
  readonly name: string;
  /** On a database that has nothing of it yet. */
  apply(workload: Workload, site: Site): Promise<void>;
  /** On one that has it all. */
  applyNothing(workload: Workload, site: Site): Promise<void>;
}

const byUs =
  (executor: "auto" | "statements"): Contestant["apply"] =>
  (workload, site) =>
    applyByUs(workload, site, executor);

/** What is compared. All use the same driver over the same relay, and send the password ahead as on Neon. */
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

async function applyByDrizzle({ folder }: Workload, site: Site): Promise<void> {
  const pool = openPool(site);
  await drizzleMigrate(drizzle(pool), { migrationsFolder: folder });
  await pool.end();
}

async function applyByUs(
  { bundleText }: Workload,
  site: Site,
  executor: "auto" | "statements",
): Promise<void> {
  const bundle = readBundle(JSON.parse(bundleText));
  const report = await migrateThrough(site, bundle, { executor, timeoutMs: 900_000 });
  if (report.status === "failed") throw new Error(report.error?.message);
}

/** What PostgreSQL itself needs: one raw connection, one simple query. */
async function send(text: string, site: Site): Promise<void> {
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

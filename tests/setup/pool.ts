import { Client, Pool, type PoolClient } from "@neondatabase/serverless";
import { afterEach } from "vitest";
import { WebSocket } from "ws";

/** The settings of a test's pool. */
export interface PoolOptions {
  /** Whether the password is sent ahead, as on Neon. Default: true. */
  readonly pipelined?: boolean;
  /** More settings of the driver. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Opens the real driver's Pool through a relay, without a change of the driver's global configuration. */
export function relayPool(url: string, relay: string, options: PoolOptions = {}): Pool {
  class RelayedClient extends Client {
    constructor(config: ConstructorParameters<typeof Client>[0]) {
      super(config);
      this.neonConfig.wsProxy = () => relay;
      this.neonConfig.useSecureWebSocket = false;
      this.neonConfig.pipelineConnect = options.pipelined === false ? false : "password";
      this.neonConfig.webSocketConstructor = WebSocket;
    }
  }
  const pool = new Pool({ connectionString: url, max: 1, ...options.settings });
  // The driver ignores `Client` among the options: a class field overwrites it.
  Reflect.set(pool, "Client", RelayedClient);
  pool.on("error", () => undefined);
  return pool;
}

/**
 * Opens pools that end with their test.
 * @param urlOf returns the connection string of a pool whose options name none
 */
export function usePools(
  urlOf: () => string,
): (relay: string, options?: PoolOptions & { readonly url?: string }) => Pool {
  const pools: Pool[] = [];
  afterEach(async () => {
    await Promise.all(pools.splice(0).map(endPool));
  });
  return (relay, options = {}) => {
    const pool = relayPool(options.url ?? urlOf(), relay, options);
    pools.push(pool);
    return pool;
  };
}

/** The clients that nobody has given back. A pool does not end before it has them all. */
const out = new WeakMap<Pool, Set<PoolClient>>();

/** Checks a client out, and ignores its late errors: a test looks at the results of its queries. */
export async function checkOut(pool: Pool): Promise<PoolClient> {
  const client = await pool.connect();
  client.on("error", () => undefined);
  const clients = out.get(pool) ?? new Set();
  out.set(pool, clients.add(client));
  const release = client.release.bind(client);
  client.release = (destroy) => {
    clients.delete(client);
    release(destroy);
  };
  return client;
}

/** Ends a pool, even if a failed test has left clients checked out. */
async function endPool(pool: Pool): Promise<void> {
  for (const client of out.get(pool) ?? []) client.release(true);
  await pool.end();
}

/** Returns the rows of a connection's first query, or its error. */
export async function firstQuery(pool: Pool, text = "select 1 as one"): Promise<unknown> {
  const client = await checkOut(pool);
  try {
    return (await client.query(text)).rows;
  } catch (thrown) {
    return thrown;
  } finally {
    client.release(true);
  }
}

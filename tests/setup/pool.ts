import { Client, Pool, type PoolClient } from "@neondatabase/serverless";
import { afterEach } from "vitest";
import { WebSocket } from "ws";

/** How a test's pool connects. */
export interface PoolOptions {
  /** Whether the password is sent ahead, as on Neon. Default true. */
  readonly pipelined?: boolean;
  /** Beside the connection string, as the driver takes them. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The real driver's Pool through a relay, without touching the driver's global configuration. */
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
  // The driver ignores this among the options: a class field overwrites it.
  Reflect.set(pool, "Client", RelayedClient);
  pool.on("error", () => undefined);
  return pool;
}

/**
 * Opens pools that are ended behind each test of a file.
 * @param urlOf their connection string, where an option gives no other one
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

/** The clients that nobody has given back: without them a pool does not end. */
const out = new WeakMap<Pool, Set<PoolClient>>();

/** Checks a client out whose late errors concern nobody: the test looks at what its queries say. */
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

/** Ends a pool, whatever a test that failed has left checked out. */
async function endPool(pool: Pool): Promise<void> {
  for (const client of out.get(pool) ?? []) client.release(true);
  await pool.end();
}

/** The rows of a connection's first query, or the error that it failed with. */
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

import { Client, Pool } from "@neondatabase/serverless";
import type { Endpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { APPLICATION_PREFIX, type SessionOptions } from "./connection.ts";
import type { Wire } from "./websocket.ts";

/** PostgreSQL cuts an application name there: NAMEDATALEN - 1. */
const MAX_APPLICATION_NAME = 63;

/** Makes the driver's pool for one session. The pool connects, over the wire, when somebody asks it to. */
export function createPool(
  endpoint: Endpoint,
  target: Target,
  wire: Wire,
  options: Pick<SessionOptions, "pipelined" | "requestId">,
): Pool {
  const { host, port, user, password, database } = endpoint;
  const pool = new Pool({
    host,
    port,
    user,
    database,
    max: 1,
    application_name: `${APPLICATION_PREFIX}${options.requestId}`.slice(0, MAX_APPLICATION_NAME),
    ...(password === null ? {} : { password }),
    ...(endpoint.options === null ? {} : { options: endpoint.options }),
  });
  // The pool ignores a `Client` among its options: its field is the documented way. A subclass keeps the settings on this
  // client, because the driver's own place for them is global.
  pool.Client = class extends Client {
    constructor(config?: ConstructorParameters<typeof Client>[0]) {
      super(config);
      this.neonConfig.webSocketConstructor = wire.Socket;
      this.neonConfig.coalesceWrites = false;
      if (!options.pipelined) this.neonConfig.pipelineConnect = false;
      if (target.relay !== null) {
        const relay = target.relay;
        this.neonConfig.useSecureWebSocket = false;
        this.neonConfig.wsProxy = (toHost, toPort) => `${relay}?address=${toHost}:${toPort}`;
      }
    }
  };
  return pool;
}

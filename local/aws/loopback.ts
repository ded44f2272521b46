import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { LOCAL_ACCOUNT } from "./account.ts";

/** An HTTP server that only this machine can reach. */
export interface LoopbackServer {
  /** The server's URL, without a slash at the end. */
  readonly url: string;
  /** Counts the connections that were opened so far. */
  connections(): number;
  /** Ends the server and every connection. */
  stop(): Promise<void>;
}

/**
 * Starts a server on loopback.
 * @param serve answers one request; if it rejects, the connection is cut
 * @param port a fixed port. Default: a free one
 */
export async function startLoopback(
  serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  port = 0,
): Promise<LoopbackServer> {
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  let opened = 0;
  server.on("connection", () => {
    opened += 1;
  });
  // Lambda keeps a caller waiting for as long as the function may run.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", resolve);
  });
  const bound = server.address();
  const taken = typeof bound === "object" && bound !== null ? bound.port : port;
  return {
    url: `http://127.0.0.1:${taken}`,
    connections: () => opened,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Returns the environment that makes the AWS SDKs and the AWS CLI talk to a stand-in for one service.
 * @param service its name in the variable, such as `S3`
 */
export function serviceEnvironment(service: string, url: string): Readonly<Record<string, string>> {
  const { region, secrets } = LOCAL_ACCOUNT;
  return {
    [`AWS_ENDPOINT_URL_${service}`]: url,
    AWS_REGION: region,
    // The AWS CLI reads only this variable.
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: secrets.local,
  };
}

/** Returns the environment that makes any AWS SDK talk to a stand-in for every service. */
export function awsEnvironment(url: string): Readonly<Record<string, string>> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
  };
}

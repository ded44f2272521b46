import type { ClientOptions } from "ws";

/** Sessions of one host that are kept. Servers give two, and many take each only once (RFC 8446, appendix C.4). */
const MOST_KEPT = 2;

/** Hosts whose sessions are kept: a function of a fleet sees a host for each tenant. */
const MOST_HOSTS = 100;

/** The sessions of each host, the newest last. They outlive a call: a sandbox of Lambda serves many, and each connects anew. */
const kept = new Map<string, Buffer[]>();

/**
 * Returns the options with which a socket goes on with an earlier TLS session to the same host, and keeps those that it is
 * given. A resumed session costs no certificate: fewer bytes, and no signature to check. It costs as many round trips as
 * another one. A server that does not know the session any more makes a new one, without being asked twice.
 * `ws` connects without an agent of Node's, and so without the sessions that an agent keeps.
 */
export function resumingTls(url: string): ClientOptions {
  const { host } = new URL(url);
  const session = kept.get(host)?.pop();
  return {
    ...(session === undefined ? {} : { session }),
    finishRequest: (request) => {
      // A socket without TLS never says so. Node waits with the event until it has checked the certificate.
      request.once("socket", (socket) =>
        socket.on("session", (given: Buffer) => keep(host, given)),
      );
      request.end();
    },
  };
}

function keep(host: string, session: Buffer): void {
  const sessions = [...(kept.get(host) ?? []), session].slice(-MOST_KEPT);
  // A map keeps the order of its keys: the first is the host that was not heard of for longest.
  kept.delete(host);
  kept.set(host, sessions);
  const [oldest] = kept.keys();
  if (kept.size > MOST_HOSTS && oldest !== undefined) kept.delete(oldest);
}

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** The ways to a PostgreSQL, in a process of their own. */
export interface Way {
  /** The relay, as `NEON_WS_PROXY` has it. */
  readonly relay: string;
  readonly pid: number;
  /** Leads a connection string of the server through the way for drivers over TCP. */
  overTcp(url: string): string;
  stop(): void;
}

/** Starts the ways in a process of their own: beside the machine they would share its one thread with it. */
export async function startWay(
  port: number,
  { roundTripMs, wakeMs }: { readonly roundTripMs: number; readonly wakeMs: number },
): Promise<Way> {
  const script = fileURLToPath(new URL("./way-process.ts", import.meta.url));
  const child = fork(script, [port, roundTripMs, wakeMs].map(String), {
    execArgv: ["--import", "tsx"],
  });
  const [told] = await once(child, "message");
  const { relay, port: tcp } = Object(told);
  return {
    ...{ relay, pid: child.pid ?? 0 },
    overTcp: (url) => {
      const other = new URL(url);
      other.port = String(tcp);
      return other.href;
    },
    stop: () => child.disconnect(),
  };
}

import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";

/** How one kind of request fared. */
export interface Served {
  /** How many were answered. */
  readonly count: number;
  readonly worstMs: number;
}

/** How an application's requests fared in a stretch of time. */
export interface Service {
  readonly reads: Served;
  readonly writes: Served;
}

/** An application at work. */
export interface Traffic {
  /** Has every session come to the end of its request, and ends it. */
  stop(): Promise<Service>;
}

/** What an application asks for, again and again. */
export interface Requests {
  readonly read: string;
  readonly write: string;
}

const READERS = 2;
const WRITERS = 2;
/** Between the answer to one request and the next one. */
const PAUSE_MS = 10;

/** Starts sessions that read and write without end. Requests are counted from when all are connected. */
export async function startTraffic(url: string, { read, write }: Requests): Promise<Traffic> {
  let over = false;
  const isOver = () => over;
  const open = (statement: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => openSession(url, statement)));
  const [readers, writers] = await Promise.all([open(read, READERS), open(write, WRITERS)]);
  const working = Promise.all([
    Promise.all(readers.map((repeat) => repeat(isOver))),
    Promise.all(writers.map((repeat) => repeat(isOver))),
  ]);
  return {
    stop: async () => {
      over = true;
      const [reads, writes] = await working;
      return { reads: sumOf(reads), writes: sumOf(writes) };
    },
  };
}

async function openSession(
  url: string,
  statement: string,
): Promise<(isOver: () => boolean) => Promise<readonly number[]>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return async (isOver) => {
    const latenciesMs: number[] = [];
    while (!isOver()) {
      const started = performance.now();
      await client.query(statement);
      latenciesMs.push(performance.now() - started);
      await pause(PAUSE_MS);
    }
    await client.end();
    return latenciesMs;
  };
}

function sumOf(sessions: readonly (readonly number[])[]): Served {
  const latenciesMs = sessions.flat();
  return { count: latenciesMs.length, worstMs: Math.round(Math.max(0, ...latenciesMs)) };
}

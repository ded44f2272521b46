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

/** How many requests of each kind were answered. */
export interface Answered {
  readonly reads: number;
  readonly writes: number;
}

/** An application at work. */
export interface Traffic {
  /** Returns a count of the requests that begin from now on, and are answered by the time of the look. */
  countFromNow(): () => Answered;
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
/** How many sessions an application has. */
export const SESSIONS: number = READERS + WRITERS;
/** Between the answer to one request and the next one. */
const PAUSE_MS = 10;

/** Starts sessions that read and write without end. Requests are counted from when all are connected. */
export async function startTraffic(url: string, { read, write }: Requests): Promise<Traffic> {
  let over = false;
  const isOver = () => over;
  const reads: Request[] = [];
  const writes: Request[] = [];
  const open = (statement: string, count: number, answered: Request[]) =>
    Promise.all(Array.from({ length: count }, () => openSession(url, statement, answered)));
  const sessions = await Promise.all([open(read, READERS, reads), open(write, WRITERS, writes)]);
  const working = Promise.all(sessions.flat().map((repeat) => repeat(isOver)));
  return {
    countFromNow: () => {
      const now = performance.now();
      const since = (answered: readonly Request[]) =>
        answered.filter(({ startedAt }) => startedAt > now).length;
      return () => ({ reads: since(reads), writes: since(writes) });
    },
    stop: async () => {
      over = true;
      await working;
      return { reads: servedOf(reads), writes: servedOf(writes) };
    },
  };
}

/** A request that was answered. */
interface Request {
  /** By `performance.now()`. */
  readonly startedAt: number;
  readonly tookMs: number;
}

async function openSession(
  url: string,
  statement: string,
  answered: Request[],
): Promise<(isOver: () => boolean) => Promise<void>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return async (isOver) => {
    while (!isOver()) {
      const startedAt = performance.now();
      await client.query(statement);
      answered.push({ startedAt, tookMs: performance.now() - startedAt });
      await pause(PAUSE_MS);
    }
    await client.end();
  };
}

function servedOf(answered: readonly Request[]): Served {
  const worstMs = Math.max(0, ...answered.map(({ tookMs }) => tookMs));
  return { count: answered.length, worstMs: Math.round(worstMs) };
}

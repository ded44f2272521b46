import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { busyTime, childrenOf, endedTime, ownTime } from "../speed/processor-time.ts";

/** Processor time by who used it, in ms. */
export interface ProcessorTime {
  /** The processes of the function. */
  readonly function: number;
  /** PostgreSQL, all of its processes. */
  readonly server: number;
  readonly way: number;
  /** The state machine, S3, the store of secrets and the function's host, which share one process. */
  readonly machine: number;
  /** Whatever else ran on this computer. */
  readonly others: number;
}

/** Finds who is who. */
export interface Parts {
  /** PostgreSQL's directory. */
  readonly directory: string;
  readonly wayPid: number;
}

/** Counts the processor time of a piece of work. Linux only: the kernel counts; null elsewhere. */
export async function countProcessor<Result>(
  parts: Parts,
  work: () => Promise<Result>,
): Promise<{
  readonly result: Result;
  readonly ms: number;
  readonly processor: ProcessorTime | null;
}> {
  const before = await timesNow(parts);
  const started = performance.now();
  const result = await work();
  const ms = performance.now() - started;
  const after = await timesNow(parts);
  return { result, ms, processor: before && after && difference(before, after) };
}

/** The least time in which so much work can be done on this computer, in ms. */
export function leastTime({ others: _, ...ours }: ProcessorTime): number {
  return sum(ours) / cpus().length;
}

async function timesNow({ directory, wayPid }: Parts): Promise<ProcessorTime | null> {
  if (process.platform !== "linux") return null;
  const pidFile = await readFile(join(directory, "data", "postmaster.pid"), "utf8");
  const postmaster = Number.parseInt(pidFile, 10);
  const functions = (await childrenOf(process.pid)).filter(
    (pid) => pid !== postmaster && pid !== wayPid,
  );
  const { user, system } = process.cpuUsage();
  const ours = {
    function: await totalOf(functions),
    server:
      (await totalOf([postmaster, ...(await childrenOf(postmaster))])) +
      (await endedTime(postmaster)),
    way: await ownTime(wayPid),
    machine: (user + system) / 1_000,
  };
  return { ...ours, others: (await busyTime()) - sum(ours) };
}

async function totalOf(pids: readonly number[]): Promise<number> {
  // A backend may have ended meanwhile; its time is that of an ended child then.
  const times = await Promise.all(pids.map((pid) => ownTime(pid).catch(() => 0)));
  return times.reduce((total, time) => total + time, 0);
}

function difference(before: ProcessorTime, after: ProcessorTime): ProcessorTime {
  return eachOf((name) => after[name] - before[name]);
}

/** Adds pieces of work up; null where one was not counted. */
export function sumOf(pieces: readonly (ProcessorTime | null)[]): ProcessorTime | null {
  const counted = pieces.filter((piece) => piece !== null);
  if (counted.length < pieces.length) return null;
  return eachOf((name) => counted.reduce((total, piece) => total + piece[name], 0));
}

function eachOf(time: (name: keyof ProcessorTime) => number): ProcessorTime {
  return {
    function: time("function"),
    server: time("server"),
    way: time("way"),
    machine: time("machine"),
    others: time("others"),
  };
}

function sum(times: object): number {
  return Object.values(times).reduce((total, time) => total + Number(time), 0);
}

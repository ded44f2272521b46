import { setTimeout as pause } from "node:timers/promises";
import { Aborted, untilAborted } from "./errors.ts";

/** The time of the executions. */
export interface Clock {
  /** Ms since 1970. */
  now(): number;
  /** Waits; for the pauses of a machine, and before a retry. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The clock of this machine. */
export const realClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    // Node's timers end at 24 days, and a pause may take a year.
    let left = ms;
    for (; left > MAX_TIMER_MS; left -= MAX_TIMER_MS) await napped(MAX_TIMER_MS, signal);
    await napped(left, signal);
  },
};

const MAX_TIMER_MS = 2 ** 31 - 1;

async function napped(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {
    throw new Aborted();
  });
}

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/**
 * A clock that jumps over the waits: whoever sleeps wakes at once, in the order in which they are due, and finds that the
 * time has passed. Work that takes real time takes it, and the time-outs of tasks are not sped up.
 */
export function jumpingClock(): Clock {
  const sleepers: Sleeper[] = [];
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;

  const wakeNext = () => {
    const next = sleepers.shift();
    if (next === undefined) return;
    aheadMs += Math.max(0, next.due - now());
    next.wake();
    if (sleepers.length > 0) setImmediate(wakeNext);
  };

  const sleep = (ms: number) =>
    new Promise<void>((wake) => {
      const due = now() + ms;
      const later = sleepers.findIndex((each) => each.due > due);
      sleepers.splice(later === -1 ? sleepers.length : later, 0, { due, wake });
      if (sleepers.length === 1) setImmediate(wakeNext);
    });

  return { now, sleep: (ms, signal) => untilAborted(sleep(ms), signal) };
}

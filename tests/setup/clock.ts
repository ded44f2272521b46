import { onTestFinished, vi } from "vitest";

/** A clock that stands still until a test moves it. The code under test takes no time, however slow the machine is. */
export interface StillClock {
  /** Moves the time ahead. Timers that are due go off in their order. */
  advance(ms: number): Promise<void>;
  /** Waits, in real time, until `look` returns true. @param stepMs moves the clock at each look. Default: 0 */
  until(look: () => Promise<boolean> | boolean, stepMs?: number): Promise<void>;
  /** Lets the time pass until there is a result. */
  run<Result>(working: Promise<Result>): Promise<Result>;
}

const realTimeout = globalThis.setTimeout;
const EVERY_MS = 10;

/**
 * Stops the clock of this process and its timers, until the test ends. Network, database and `waitFor` go on. Tests
 * that run side by side with others cannot use it.
 */
export function stopClock(): StillClock {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const advance = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
  };
  const until: StillClock["until"] = async (look, stepMs = 0) => {
    while (!(await look())) {
      if (stepMs > 0) await advance(stepMs);
      await new Promise((resolve) => realTimeout(resolve, EVERY_MS));
    }
  };
  return {
    advance,
    until,
    run: async (working) => {
      let over = false;
      const ended = working.finally(() => {
        over = true;
      });
      ended.catch(() => undefined);
      await until(() => over, EVERY_MS);
      return await ended;
    },
  };
}

/**
 * Stops the clock that the product reads, but none of its timers. Pauses end as always, and deadlines do not come
 * nearer.
 * @returns a function that lets so many ms pass at once
 */
export function stopDate(): (ms: number) => void {
  let now = Date.now();
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now);
  onTestFinished(() => clock.mockRestore());
  return (ms) => {
    now += ms;
  };
}

import { type TestContext, vi } from "vitest";

/** A clock that stands still until a test moves it: what the code under test does meanwhile takes no time. */
export interface StillClock {
  /** Moves the time ahead; timers that are due strike in their order. */
  advance(ms: number): Promise<void>;
  /** Waits, in real time, until `look` says so. @param stepMs moves the clock by so much at each look. Default 0 */
  until(look: () => Promise<boolean> | boolean, stepMs?: number): Promise<void>;
  /** Lets the time pass until there is a result. */
  run<Result>(working: Promise<Result>): Promise<Result>;
}

const realTimeout = globalThis.setTimeout;
const EVERY_MS = 10;

/**
 * Stops the clock of this process, until the test is over. Network and database go on. Not for tests that run side by side
 * with others.
 */
export function stopClock({ onTestFinished }: Pick<TestContext, "onTestFinished">): StillClock {
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

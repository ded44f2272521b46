import { onTestFinished, vi } from "vitest";

/**
 * Stops the clock that the product reads and the timers that it sets, until the test ends: no limit strikes
 * before the test says so, however slow the machine is. What the test's own side waits for goes on (`waitFor`).
 * @returns lets so many ms pass at once
 */
export function stopClock(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  return (ms) => {
    vi.advanceTimersByTime(ms);
  };
}

/**
 * Stops the clock that the product reads, but none of its timers: pauses are over as always, and deadlines do
 * not come nearer.
 * @returns lets so many ms pass at once
 */
export function stopDate(): (ms: number) => void {
  let now = Date.now();
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now);
  onTestFinished(() => clock.mockRestore());
  return (ms) => {
    now += ms;
  };
}

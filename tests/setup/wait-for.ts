import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";

/**
 * Waits until `look` says so. Fails the test when that takes longer than `timeoutMs`, by a clock and with timers
 * that no test has stopped.
 */
export async function waitFor(
  look: () => Promise<boolean> | boolean,
  timeoutMs = 120_000,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!(await look())) {
    if (performance.now() > until) expect.fail(`Not seen within ${timeoutMs} ms: ${look}`);
    await pause(20);
  }
}

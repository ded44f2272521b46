import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";

/**
 * Waits until `look` returns true. Fails the test when that takes longer than `timeoutMs`. It uses the real clock and
 * real timers, even where a test has stopped them.
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

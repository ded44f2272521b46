import { expect } from "vitest";

/** Waits until `look` says so. Fails the test when that takes longer than `timeoutMs`. */
export async function waitFor(
  look: () => Promise<boolean> | boolean,
  timeoutMs = 120_000,
): Promise<void> {
  const until = Date.now() + timeoutMs;
  while (!(await look())) {
    if (Date.now() > until) expect.fail(`Not seen within ${timeoutMs} ms: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

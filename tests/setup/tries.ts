/** Returns how often a test tries something: `few` times in `npm test`, `many` times in `npm run trials`. */
export function tries(few: number, many: number): number {
  return isTrial() ? many : few;
}

/** Whether this process belongs to `npm run trials`, which leaves nothing out. */
export function isTrial(): boolean {
  return process.env.TRIES === "many";
}

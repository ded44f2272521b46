/** Returns how often a test tries something: `few` times in `npm test`, `many` times in `npm run trials`. */
export function tries(few: number, many: number): number {
  return isTrial() ? many : few;
}

/** Returns every third of these rows in `npm test`, the first one included, and all of them in `npm run trials`. */
export function sample<Row>(rows: readonly Row[]): readonly Row[] {
  return isTrial() ? rows : rows.filter((_, index) => index % 3 === 0);
}

/** Whether this process belongs to `npm run trials`, which leaves nothing out. */
export function isTrial(): boolean {
  return process.env.TRIES === "many";
}

/** What callers need who do not simply wait for a run: one file of the built function, loaded for them alone. */

export { followRun, recordOutcome } from "./carry-out.ts";
export { findRun } from "./find-run.ts";
export { startRun } from "./start-run.ts";

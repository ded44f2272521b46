/** What callers need who do not simply wait for a run: one file of the built function, loaded for them alone. */

export { streamRun } from "../handler/stream-run.ts";
export { followRun, recordOutcome } from "./carry-out.ts";
export { findRun, startRun } from "./start-run.ts";

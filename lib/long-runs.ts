/** What callers need who do not simply wait for a run: one file of the built function, loaded for them alone. */
export { followRun, recordOutcome } from "./runs/follow.ts";
export { findRun, startRun } from "./runs/serve.ts";
export { streamRun } from "./stream.ts";

/** All that calls about runs need, as one file of the built function: it loads for them alone. */
export { followRun, recordOutcome } from "./follow.ts";
export { findRun, startRun } from "./serve.ts";

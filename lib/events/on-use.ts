/** The parts of events that only few calls need: one file of the built function, which loads for them alone. */

export { followRun, recordOutcome } from "../queued-runs/carry-out.ts";
export { answerHook } from "./codedeploy-answer.ts";
export { answerJob } from "./codepipeline-answer.ts";
export { failure } from "./direct-answer.ts";
export { callerOf } from "./http/identity.ts";
export { serveRun } from "./http/serve-run.ts";
export { readOther, staleBundle, withinService } from "./stale.ts";
export { taskTokenError } from "./task-token.ts";
export { unsupported } from "./unsupported-answer.ts";

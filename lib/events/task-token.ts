import { MigratorError } from "../errors.ts";
import { quoted } from "../text.ts";

/** Makes the error of a request with a task token of Step Functions under this key. */
export function taskTokenError(key: string): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    `The request has a task token (${quoted(key)}), which this function does not send back: Step Functions has the report as the task's result. Take .waitForTaskToken away.`,
  );
}

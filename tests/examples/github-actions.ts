import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Check, runTool, ToolMissing } from "./check.ts";

const VALIDATOR = fileURLToPath(
  new URL("../../.ci/examples/node_modules/.bin/action-validator", import.meta.url),
);

/** Holds a workflow against GitHub's schema of workflows. */
export function workflowValid(file: string): Check {
  return {
    by: "action-validator",
    run: async () => {
      if (!existsSync(VALIDATOR)) throw new ToolMissing("action-validator");
      await runTool(VALIDATOR, [file]);
    },
  };
}

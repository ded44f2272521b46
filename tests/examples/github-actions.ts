import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { type Check, expectEqual, runTool, ToolMissing } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";

const VALIDATOR = fileURLToPath(
  new URL("../../.ci/examples/node_modules/.bin/action-validator", import.meta.url),
);

/** What `npx neon-migrate` starts where the package is installed. */
const COMMAND = `"${process.execPath}" --import tsx bin/neon-migrate.ts`;

interface Step {
  readonly run?: string;
}

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

/** Runs the workflow's step that fires the function, as it stands. */
export function stepRun(file: string, stage: Stage): Check {
  return {
    by: "its neon-migrate invoke on the stand-in",
    run: async () => {
      const { env, steps } = parse(readFileSync(file, "utf8")).jobs.deploy;
      const commands = steps.flatMap(({ run = "" }: Step) => run);
      const invoke = commands.filter((each: string) => each.startsWith("npx neon-migrate invoke"));
      expectEqual(invoke.length, 1);
      const { migrations } = await stage.deploy({ DATABASE_URL_SECRET: SECRET_ARN });
      const summary = join(stage.scratch, "summary.md");
      const page = join(stage.scratch, "migrations.html");
      const command = String(invoke)
        .replace("npx neon-migrate", COMMAND)
        .replace("migrations.html", page);
      await runTool("sh", ["-c", command], {
        env: { ...stage.api.environment, ...env, GITHUB_STEP_SUMMARY: summary },
      });
      expectEqual(await migrations(), stage.bundle.migrations.length);
      expectEqual(readFileSync(page, "utf8").startsWith("<!doctype html>"), true);
      expectEqual(readFileSync(summary, "utf8").startsWith("## ✅"), true);
    },
  };
}

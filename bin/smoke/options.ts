import { type Command, InvalidArgumentError, Option } from "commander";
import { withFiles, withJson, withReference } from "../options.ts";
import type { SmokeOptions } from "./command.ts";
import { RUN_ID } from "./scratch.ts";

const HELP = `
It makes a stack with CDK and a schema of its own, deploys two migrations, deploys them again, deploys one that fails,
looks that nothing of it is left, and removes the stack and the schema. Without --yes it says so, looks whether all that
it needs is there, and makes nothing. Exit codes: 0 all as expected, 1 not, 2 wrong usage.`;

/** Adds `smoke`, which tries everything in the account of the user. */
export function addSmoke(program: Command, end: (exitCode: number) => void): void {
  withFiles(withReference(withJson(program.command("smoke"))))
    .description("try everything in your AWS account and on your database, and remove it again")
    .option("--kms-key <arn>", "customer-managed key of the secret or the parameter")
    .option("--yes", "do it; without it the plan is only shown", false)
    .option("--keep", "leave the stack and the schema there", false)
    .addOption(
      new Option("--clean <id>", "only remove the stack and the schema of the run with this id")
        .argParser(runId)
        .conflicts(["yes", "keep"]),
    )
    .option("--verbose", "show what CDK prints", false)
    .addHelpText("after", HELP)
    .action(async (options: SmokeOptions) => {
      const { smokeCommand } = await import("./command.ts");
      end(await smokeCommand(options));
    });
}

function runId(text: string): string {
  if (RUN_ID.test(text)) return text;
  throw new InvalidArgumentError("Allowed: the eight digits that a run has named.");
}

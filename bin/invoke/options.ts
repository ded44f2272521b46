import type { Command } from "commander";
import { choice, exitCodeWhenPending, withJson, withRequest } from "../options.ts";
import type { InvokeOptions } from "./command.ts";

const HELP = `
The region is that of the ARN, or AWS_REGION or the profile says it; credentials come by the usual chain of the AWS SDK,
and need lambda:InvokeFunction. The call has no time limit of its own and is never repeated once the function may have
started. Exit codes: 0 done or nothing to do, 1 failed or not known, 2 wrong usage, 3 pending (--exit-code).`;

/** Adds `invoke`, which has a deployed function do what `up`, `plan` and `status` do. */
export function addInvoke(program: Command, end: (exitCode: number) => void): void {
  withRequest(withJson(program.command("invoke <function>")))
    .description("let a deployed function do it: its name or ARN, with :alias where it has one")
    .addOption(choice("--action", ["up", "plan", "status"], "what it is to do").default("up"))
    .option("--folder <folder>", "migrations, for the SQL and the locks of a plan")
    .option("--sql", "show the statements as a whole; needs --folder", false)
    .option("--tail", "show the function's progress, and the end of its log")
    .option("--no-tail", "do not follow the function's log, as is the default on a terminal")
    .addOption(exitCodeWhenPending())
    .addHelpText("after", HELP)
    .action(
      async (functionName: string, options: Omit<InvokeOptions, "functionName">, self: Command) => {
        if (options.sql && options.folder === undefined) {
          self.error("error: --sql needs --folder: a function sends no SQL");
        }
        const { invokeCommand } = await import("./command.ts");
        end(await invokeCommand({ ...options, functionName }));
      },
    );
}

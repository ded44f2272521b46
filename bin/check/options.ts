import type { Command } from "commander";
import { choice, lockTimeout, withDatabase } from "../options.ts";
import type { CheckOptions } from "./command.ts";

/** Adds `check`. */
export function addCheck(program: Command, end: (exitCode: number) => void): void {
  withDatabase(
    program.command("check"),
    "connection string of a database that grades the findings; never taken from DATABASE_URL or a file",
  )
    .description(
      "find what is dangerous in the migrations; with a database, in what is pending there",
    )
    .option("--since <tag|ref>", "only what is new since a migration, or since a git commit")
    .addOption(
      choice("--fail-on", ["error", "warning", "never"], "what ends with exit code 1").default(
        "error",
      ),
    )
    .addOption(lockTimeout().hideHelp())
    .option("--sarif", "print SARIF 2.1.0 on standard output and nothing else there", false)
    .action(async (options: CheckOptions, command: Command) => {
      if (options.json && options.sarif)
        command.error("error: --json and --sarif exclude each other");
      const { checkCommand } = await import("./command.ts");
      end(await checkCommand(options));
    });
}

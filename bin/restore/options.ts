import { type Command, InvalidArgumentError, Option } from "commander";
import { EXIT_CODE } from "../exit-code.ts";
import { withDatabase } from "../options.ts";
import type { RestoreCommandOptions } from "./command.ts";

/** Neon keeps a branch with an expiry for 30 days at the most. */
const MAX_HOURS = 720;

/** Adds `restore`. */
export function addRestore(program: Command, end: (exitCode: number) => void): void {
  withDatabase(program.command("restore"))
    .description("make a new Neon branch with the state before a run, or put production back to it")
    .requiredOption(
      "--before <request id|tag|time>",
      "a run, a migration, or a time such as 2026-11-29T09:09:00Z",
    )
    .addOption(
      new Option("--expires-in-hours <hours>", "Neon deletes the new branch then (default: never)")
        .argParser(hours)
        .conflicts("inPlace"),
    )
    .option(
      "--in-place",
      "put production itself back; its present state is kept in a branch",
      false,
    )
    .option("--yes", "with --in-place: do it; without it the change is only shown", false)
    .action(async (options: RestoreCommandOptions, command: Command) => {
      if (options.yes && !options.inPlace) {
        command.error("error: --yes belongs to --in-place", { exitCode: EXIT_CODE.usage });
      }
      const { restoreCommand } = await import("./command.ts");
      end(await restoreCommand(options));
    });
}

function hours(value: string): number {
  const number = Number(value);
  if (/^\d{1,3}$/.test(value) && number > 0 && number <= MAX_HOURS) return number;
  throw new InvalidArgumentError(`Allowed: a whole number from 1 to ${MAX_HOURS}`);
}

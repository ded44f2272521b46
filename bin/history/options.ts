import { type Command, InvalidArgumentError } from "commander";
import { withDatabase } from "../options.ts";
import type { HistoryCommandOptions } from "./command.ts";

/** Adds `history`. */
export function addHistory(program: Command, end: (exitCode: number) => void): void {
  withDatabase(program.command("history"))
    .description("say which runs there were, the newest first: who, when, how long, and from where")
    .option("--limit <runs>", "show so many", positive, 20)
    .option("--html <file>", "write them as a page, too")
    .action(async (options: HistoryCommandOptions) => {
      const { historyCommand } = await import("./command.ts");
      end(await historyCommand(options));
    });
}

function positive(value: string): number {
  const number = Number(value);
  if (/^\d{1,6}$/.test(value) && number > 0) return number;
  throw new InvalidArgumentError("Allowed: a whole number from 1 to 999999");
}

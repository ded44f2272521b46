import { Argument, type Command } from "commander";
import { SHELLS } from "./scripts.ts";

/** Adds `completion`. It comes last: its scripts are made from the commands that are there. */
export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print the script by which a shell completes commands and options")
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SHELLS)))
    .action((shell: string) => console.log(SHELLS[shell]?.(program)));
}

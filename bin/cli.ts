/*
 * The command line. Words come in, and an exit code goes out. A command turns its flags into a request, calls `lib/`,
 * and prints the answer: results to standard output, failures and everything else to standard error. Nothing here decides
 * how to migrate. Each folder holds one command or a group of them, and `render/` makes text for a person.
 */

import { Command, CommanderError } from "commander";
import { packageVersion } from "../lib/package-root.ts";
import { printable } from "../lib/text.ts";
import { addAmendments } from "./amend/options.ts";
import { addBundle } from "./bundle/options.ts";
import { addCheck } from "./check/options.ts";
import { addCompletion } from "./completion/options.ts";
import { EXIT_CODE } from "./exit-code.ts";
import { addFleet } from "./fleet/options.ts";
import { addHelp } from "./help.ts";
import { addHistory } from "./history/options.ts";
import { addInit } from "./init/options.ts";
import { addInvoke } from "./invoke/options.ts";
import { addLocal } from "./local/options.ts";
import { exitCodeWhenPending, withDatabase, withLimits, withRequest } from "./options.ts";
import { adviceOn } from "./other-verbs.ts";
import { addReport } from "./report/options.ts";
import { addRestore } from "./restore/options.ts";
import type { RunOptions } from "./run/command.ts";
import { addSmoke } from "./smoke/options.ts";

/**
 * Runs one command line. Results go to standard output, failures and everything else to standard error.
 * @param words the words behind the program's name
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 pending (`--exit-code`)
 */
export async function runCli(words: readonly string[]): Promise<number> {
  let exitCode: number = EXIT_CODE.done;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...words], { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return thrown.exitCode === 0 ? EXIT_CODE.done : EXIT_CODE.usage;
  }
}

/** Makes the commands. `end` is told the exit code of the one that ran. */
export function createProgram(end: (exitCode: number) => void): Command {
  const program = new Command("neon-migrate")
    .description("Runs Drizzle migrations on Neon Postgres.")
    .version(packageVersion())
    .showHelpAfterError("Run neon-migrate --help for the commands.")
    .exitOverride()
    .configureOutput({
      writeErr: (text) => process.stderr.write(printable(text)),
      outputError: (text, write) => write(withAdvice(text)),
    });
  const run = (action: RunOptions["action"]) => async (options: Omit<RunOptions, "action">) => {
    // Loaded on demand: `bundle` runs at every synth and needs neither driver nor relay.
    const { runCommand } = await import("./run/command.ts");
    end(await runCommand({ ...options, action }));
  };
  const add = (name: RunOptions["action"], description: string) =>
    withRequest(withDatabase(program.command(name).description(description))).action(run(name));
  add("up", "apply what is pending");
  add("plan", "say what up would do, with its SQL, locks and risks; write nothing")
    .option("--sql", "show the statements as a whole", false)
    .addOption(exitCodeWhenPending());
  add("status", "say what is applied and pending, and which run is under way");
  withLimits(
    add("rehearse", "apply what is pending on a new Neon branch, and say what would stand still"),
  ).option("--keep", "keep the branch for a look at it; it expires after 6 hours", false);
  addHistory(program, end);
  addRestore(program, end);
  addInvoke(program, end);
  addFleet(program, end);
  addReport(program, end);
  addInit(program, end);
  addCheck(program, end);
  addAmendments(program, end);
  addBundle(program, end);
  addLocal(program, end);
  addSmoke(program, end);
  addCompletion(program);
  addHelp(program);
  return program;
}

/** Adds to the error about a word of another tool what it is called here. */
function withAdvice(text: string): string {
  const [, word = ""] = /^error: unknown command '(.*)'/.exec(text) ?? [];
  const advice = adviceOn(word);
  return advice === null ? text : `error: unknown command '${word}'\n${advice}\n`;
}

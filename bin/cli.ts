import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { MigratorError } from "../lib/errors.ts";
import { parseRequest } from "../lib/request.ts";
import type { BundleOptions } from "./bundle-command.ts";
import { EXIT_CODE } from "./exit-code.ts";
import { packageVersion } from "./package-root.ts";
import type { RunOptions } from "./run-command.ts";

/**
 * Runs one command line. Reports go to standard output, everything else to standard error.
 * @param words what follows the program's name
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 pending (`plan --exit-code`)
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

function createProgram(end: (exitCode: number) => void): Command {
  const program = new Command("neon-migrate")
    .description("Runs Drizzle migrations on Neon Postgres.")
    .version(packageVersion())
    .showHelpAfterError("Run neon-migrate <command> --help for the options.")
    .exitOverride();
  const run = (action: RunOptions["action"]) => async (options: Omit<RunOptions, "action">) => {
    // Loaded on demand: `bundle` runs at every synth and needs neither driver nor relay.
    const { runCommand } = await import("./run-command.ts");
    end(await runCommand({ ...options, action }));
  };
  database(program.command("up").description("apply what is pending")).action(run("up"));
  database(program.command("plan").description("say what up would do; write nothing"))
    .option("--exit-code", "exit with 3 when something is pending", false)
    .action(run("plan"));
  database(program.command("status").description("say what is applied and what is pending")).action(
    run("status"),
  );
  addBundle(program, end);
  return program;
}

function addBundle(program: Command, end: (exitCode: number) => void): void {
  source(program.command("bundle"))
    .description("compile the folder into a ready Lambda asset: handler and bundle.json")
    .requiredOption("--out <folder>", "where the asset is written")
    .option("--handler <folder>", "another prebuilt handler than the package's own")
    .action(async (options: BundleOptions) => {
      const { bundleCommand } = await import("./bundle-command.ts");
      end(await bundleCommand(options));
    });
}

function source(command: Command): Command {
  return command
    .option("--folder <folder>", "the folder that drizzle-kit generates into", "drizzle")
    .option("--json", "print JSON on standard output and nothing else there", false);
}

/** The options of every command that goes to a database: where it is, and every field of a request. */
function database(command: Command): Command {
  return source(command)
    .option("--url <url>", "connection string; default: the environment, such as DATABASE_URL")
    .option("--relay", "reach the URL's host over TCP, through a relay in this process", false)
    .addOption(choice("--transaction", ["auto", "all", "each"], "one for all, or per migration"))
    .addOption(choice("--out-of-order", ["error", "apply"], "pending, but older than the newest"))
    .addOption(choice("--modified", ["warn", "error"], "files changed after they were applied"))
    .addOption(choice("--ahead", ["warn", "error"], "ledger rows that the folder does not know"))
    .addOption(choice("--executor", ["auto", "drizzle", "statements"], "which executor applies"))
    .addOption(duration("lock-timeout-ms", "lockTimeoutMs", "how long to wait for another run"))
    .addOption(duration("ddl-lock-timeout-ms", "ddlLockTimeoutMs", "how long DDL waits at a time"))
    .addOption(duration("timeout-ms", "timeoutMs", "how long the whole run may take"));
}

function choice(flag: string, choices: readonly string[], description: string): Option {
  return new Option(`${flag} <choice>`, description).choices(choices);
}

/** Durations have their limits in one place: where every other caller's are read. */
function duration(name: string, key: string, description: string): Option {
  return new Option(`--${name} <ms>`, description).argParser((value: string) => {
    try {
      parseRequest({ [key]: value });
      return value;
    } catch (thrown) {
      if (thrown instanceof MigratorError) throw new InvalidArgumentError(thrown.message);
      throw thrown;
    }
  });
}

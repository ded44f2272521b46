import { type Command, InvalidArgumentError, Option } from "commander";
import { MigratorError } from "../lib/errors.ts";
import { parseRequest } from "../lib/request.ts";

/** The options of every command: where the migrations are, and what is printed. */
export function withFolder(command: Command): Command {
  return withJson(command).option(
    "--folder <folder>",
    "the folder that drizzle-kit generates into",
    "drizzle",
  );
}

/** The option of every command: what is printed. */
export function withJson(command: Command): Command {
  return command.option("--json", "print JSON on standard output and nothing else there", false);
}

/** Every field of a request that says how to run, as a flag. */
export function withRequest(command: Command): Command {
  return command
    .addOption(choice("--transaction", ["auto", "all", "each"], "one for all, or per migration"))
    .addOption(choice("--out-of-order", ["error", "apply"], "pending, but older than the newest"))
    .addOption(choice("--modified", ["warn", "error"], "files changed after they were applied"))
    .addOption(choice("--ahead", ["warn", "error"], "ledger rows that the folder does not know"))
    .addOption(choice("--executor", ["auto", "drizzle", "statements"], "which executor applies"))
    .addOption(duration("ddl-lock-timeout-ms", "ddlLockTimeoutMs", "how long DDL waits at a time"))
    .addOption(duration("timeout-ms", "timeoutMs", "how long the whole run may take"));
}

/** The options of every command that goes to a database: where it is, and how long to wait for others. */
export function withDatabase(command: Command): Command {
  return withFolder(command)
    .option("--url <url>", "connection string; default: the environment, such as DATABASE_URL")
    .addOption(reference("--secret <id>", "Secrets Manager secret that holds it", "parameter"))
    .addOption(reference("--secret-field <name>", "its field, when it is JSON", "parameter"))
    .addOption(reference("--parameter <name>", "SSM parameter that holds it", "secret"))
    .option("--relay", "reach the URL's host over TCP, through a relay in this process", false)
    .addOption(lockTimeout());
}

/** How long to wait for another run: the one field that commands have which run nothing. */
export function lockTimeout(): Option {
  return duration("lock-timeout-ms", "lockTimeoutMs", "how long to wait for another run");
}

/** For a plan in a script. */
export function exitCodeWhenPending(): Option {
  return new Option("--exit-code", "exit with 3 when something is pending").default(false);
}

/** An option with a closed set of values. */
export function choice(flag: string, choices: readonly string[], description: string): Option {
  return new Option(`${flag} <choice>`, description).choices(choices);
}

/** Durations have their limits in one place: where every other caller's are read. */
export function duration(name: string, key: string, description: string): Option {
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

/** Where the connection string is, instead of itself. */
function reference(flags: string, description: string, other: string): Option {
  return new Option(flags, description).conflicts(["url", other]);
}

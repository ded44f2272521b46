import { type Command, InvalidArgumentError, Option } from "commander";
import { MigratorError } from "../lib/errors.ts";
import { parseRequest } from "../lib/request.ts";

/** The options of every command: where the migrations are, and what is printed. */
export function withFolder(command: Command): Command {
  return command
    .option("--folder <folder>", "the folder that drizzle-kit generates into", "drizzle")
    .option("--json", "print JSON on standard output and nothing else there", false);
}

/** The options of every command that goes to a database: where it is, and how long to wait for others. */
export function withDatabase(command: Command): Command {
  return withFolder(command)
    .option("--url <url>", "connection string; default: the environment, such as DATABASE_URL")
    .addOption(reference("--secret <id>", "Secrets Manager secret that holds it", "parameter"))
    .addOption(reference("--secret-field <name>", "its field, when it is JSON", "parameter"))
    .addOption(reference("--parameter <name>", "SSM parameter that holds it", "secret"))
    .option("--relay", "reach the URL's host over TCP, through a relay in this process", false)
    .addOption(duration("lock-timeout-ms", "lockTimeoutMs", "how long to wait for another run"));
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

import { type Command, InvalidArgumentError, Option } from "commander";
import { MigratorError } from "../lib/errors.ts";
import { parseRequest } from "../lib/request.ts";

/** Adds the options of every command that reads a project: its folder, its files, and the form of the output. */
export function withProject(command: Command): Command {
  return withFiles(
    withJson(command).option(
      "--folder <folder>",
      "migrations; default: out of the config file, else drizzle",
    ),
  )
    .option("--ledger-schema <name>", "default: LEDGER_SCHEMA, the config file, drizzle")
    .option(
      "--ledger-table <name>",
      "default: LEDGER_TABLE, the config file, __drizzle_migrations",
    );
}

/** Adds the options that name the files of settings. */
export function withFiles(command: Command): Command {
  return command
    .option("--config <file>", "default: drizzle.config.ts, .js, .json, .mts, .mjs or .cjs")
    .option("--no-config", "read no drizzle.config file")
    .addOption(envFile());
}

/** Makes the option that may be repeated, once for each file. */
function envFile(): Option {
  return new Option("--env-file <file>", "variables; may be repeated; default: .env").argParser(
    (file: string, files: readonly string[] = []) => [...files, file],
  );
}

/** Adds the option for the form of the output. */
export function withJson(command: Command): Command {
  return command.option("--json", "print JSON on standard output and nothing else there", false);
}

/** The options that mean nothing for an action. They are taken, so that a script may hand all commands the same. */
const MEANINGLESS: Readonly<Record<string, readonly string[]>> = {
  plan: ["--ddl-lock-timeout-ms", "--lock-timeout-ms"],
  rehearse: ["--lock-timeout-ms"],
  status: [
    ...["--transaction", "--out-of-order", "--modified", "--ahead", "--executor"],
    ...["--ddl-lock-timeout-ms", "--lock-timeout-ms"],
  ],
};

/** Adds a flag for every field of a request that says how to run. The help shows those that mean something here. */
export function withRequest(command: Command): Command {
  const options = [
    ruling("--transaction", ["auto", "all", "each"], "one for all, or per migration"),
    ruling("--out-of-order", ["error", "apply"], "pending, but older than the newest"),
    ruling("--modified", ["warn", "error"], "files changed after they were applied"),
    ruling("--ahead", ["warn", "error"], "ledger rows that the folder does not know"),
    ruling("--executor", ["auto", "drizzle", "statements"], "which executor applies"),
    lockTimeout(),
    duration(
      "ddl-lock-timeout-ms",
      "ddlLockTimeoutMs",
      "how long a statement waits for a table at a time",
    ),
    duration("timeout-ms", "timeoutMs", "how long the whole run may take"),
  ];
  for (const option of options) {
    const isHidden = MEANINGLESS[command.name()]?.includes(option.long ?? "") === true;
    command.addOption(isHidden ? option.hideHelp() : option);
  }
  return command
    .addOption(pageOption())
    .addOption(markdownOption())
    .addOption(new Option("--verbose", "show times and round trips, too").default(false))
    .addOption(
      new Option("--quiet", "print warnings and errors only").default(false).conflicts("verbose"),
    );
}

const URL_SOURCES = "connection string; default: DATABASE_URL …, the config file";

/** Adds the options of a command that goes to a database: its place, and how long to wait for other runs. */
export function withDatabase(command: Command, url: string = URL_SOURCES): Command {
  return withReference(withProject(command).option("--url <url>", url)).option(
    "--relay",
    "reach the URL's host over TCP, through a relay in this process",
    false,
  );
}

/** Adds the options that name the place of the connection string in AWS. */
export function withReference(command: Command): Command {
  return command
    .addOption(
      reference("--secret <id>", "Secrets Manager secret with the connection string", "parameter"),
    )
    .addOption(reference("--secret-field <name>", "its field, when it is JSON", "parameter"))
    .addOption(
      reference("--parameter <name>", "SSM parameter with the connection string", "secret"),
    );
}

/** Makes the option for the wait for another run. Commands that run nothing have it, too. */
export function lockTimeout(): Option {
  return duration("lock-timeout-ms", "lockTimeoutMs", "how long to wait for another run");
}

/** Makes the option for the report as a page. */
export function pageOption(): Option {
  return new Option("--html <file>", "write the report as a page, too, whatever the end");
}

/** Makes the option for the report as Markdown. */
export function markdownOption(): Option {
  return new Option("--markdown <file>", "append it as Markdown, as to $GITHUB_STEP_SUMMARY");
}

/** Makes the option by which a script learns that a plan is not empty. */
export function exitCodeWhenPending(): Option {
  return new Option("--exit-code", "exit with 3 when something is pending").default(false);
}

/** Adds the limits of a rehearsal. */
export function withLimits(command: Command): Command {
  const limit = (name: string, key: string, description: string) =>
    duration(name, key, description, "rehearsalLimits");
  return command
    .addOption(limit("limit-blocked-ms", "blockedMs", "fail where a table stands still for longer"))
    .addOption(limit("limit-total-ms", "totalMs", "fail where the statements take longer"));
}

/** Makes an option with a closed set of values. */
export function choice(flag: string, choices: readonly string[], description: string): Option {
  return new Option(`${flag} <${choices.join("|")}>`, description).choices(choices);
}

/** Makes an option for a field of the request. Its default is told and not set: a function is sent what was named only. */
function ruling(flag: string, choices: readonly string[], description: string): Option {
  const option = choice(flag, choices, description);
  option.description += ` (default: ${DEFAULTS[option.attributeName()]})`;
  return option;
}

/** The values of a request that says nothing. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  timeoutMs: 900_000,
  ...Object.fromEntries(
    Object.entries(parseRequest({})).filter(([, value]) => value !== undefined && value !== null),
  ),
};

/**
 * Makes an option for a duration. `parseRequest` holds its limits, as for every other caller.
 * @param within the field that holds the key; default: the request itself
 */
export function duration(name: string, key: string, description: string, within?: string): Option {
  const otherwise = DEFAULTS[key] ?? "no limit";
  return new Option(`--${name} <ms>`, `${description} (default: ${otherwise})`).argParser(
    (value: string) => {
      try {
        parseRequest(within === undefined ? { [key]: value } : { [within]: { [key]: value } });
        return value;
      } catch (thrown) {
        if (!(thrown instanceof MigratorError)) throw thrown;
        const [, allowed = thrown.message] = /Allowed: (.*)$/.exec(thrown.message) ?? [];
        throw new InvalidArgumentError(`Allowed: ${allowed}`);
      }
    },
  );
}

/** Makes an option that names the place of the connection string. */
function reference(flags: string, description: string, other: string): Option {
  return new Option(flags, description).conflicts(["url", other]);
}

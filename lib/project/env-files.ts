import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { MigratorError, toError } from "../errors.ts";

/** A file whose variables are now in the environment. */
export interface EnvFile {
  readonly file: string;
  /** The names of the variables that have their value from the file. */
  readonly names: readonly string[];
}

/**
 * Loads `.env` of the working directory, or the files that are named instead, into an environment. A variable that is
 * set already stays; of two files the later one wins. Node does the same for `--env-file` and `process.loadEnvFile()`,
 * which do not say what a file has set.
 * @param environment gets the variables
 * @throws MigratorError `CONFIG_INVALID` for a named file that cannot be read
 */
export function loadEnvFiles(
  cwd: string,
  named: readonly string[],
  environment: Record<string, string | undefined>,
): readonly EnvFile[] {
  const files = named.length > 0 ? named : [".env"].filter((each) => isThere(resolve(cwd, each)));
  const loaded = files.toReversed().map((file) => {
    const variables = Object.entries(read(cwd, file));
    for (const [name, value] of variables) environment[name] ??= value;
    const ours = variables.filter(([name, value]) => environment[name] === value);
    return { file, names: ours.map(([name]) => name) };
  });
  return loaded.toReversed();
}

/** Whether there is a file. A folder of this name is a virtual environment of Python. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

function read(cwd: string, file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(resolve(cwd, file), "utf8"));
  } catch (cause) {
    throw new MigratorError(
      "CONFIG_INVALID",
      `The file of variables ${file} cannot be read: ${toError(cause).message}. Name a file with lines of the form NAME=value.`,
      { cause },
    );
  }
}

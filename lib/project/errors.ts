import { MigratorError } from "../errors.ts";
import { hidePasswords } from "../text.ts";

/** The end of every message about a drizzle.config file. */
const WAY_OUT = "Correct it, name another with --config, or read none with --no-config.";

/**
 * Makes the error for a drizzle.config file.
 * @param reason the rest of the sentence that begins with the file's name, and its full stop
 */
export function invalidConfig(
  file: string,
  reason: string,
  { wayOut = WAY_OUT, cause }: { readonly wayOut?: string; readonly cause?: unknown } = {},
): MigratorError {
  const message = hidePasswords(`${file} ${reason} ${wayOut}`);
  return new MigratorError("PROJECT_CONFIG_INVALID", message, { cause });
}

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { packageRoot } from "../lib/package-root.ts";

/** The word that switches the cache off. */
const OFF = "off";

/** The circumstances of a command. Tests name others. */
interface Around {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The folder of this package. */
  readonly root: string;
  /** The address of this module. */
  readonly module: string;
}

/**
 * Returns the folder in which compiled migrations are kept. `NEON_MIGRATE_CACHE` names one, or says `off`. Default:
 * `node_modules/.cache` beside this package. Whoever may write there may change this program, too.
 * @returns null where nothing is kept
 */
export function cacheFolder({
  environment = process.env,
  root = packageRoot(),
  module = import.meta.url,
}: Partial<Around> = {}): string | null {
  const named = environment.NEON_MIGRATE_CACHE ?? "";
  // A change of the sources has no version.
  if (named === OFF || module.endsWith(".ts")) return null;
  if (named !== "") return resolve(named);
  const beside = dirname(root);
  const modules = basename(beside) === "node_modules" ? beside : join(root, "node_modules");
  return existsSync(modules) ? join(modules, ".cache", "neon-lambda-migrator") : null;
}

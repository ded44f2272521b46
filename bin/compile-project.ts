import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Bundle } from "../lib/bundle/bundle.ts";
import { compileBundle } from "../lib/compile/compile.ts";
import { type ErrorCode, MigratorError } from "../lib/errors.ts";
import { cacheFolder } from "./cache.ts";
import type { Project } from "./project.ts";

/** Compiles the folder of a project. @throws MigratorError as `compileBundle` */
export function compileProject(project: Project): Promise<Bundle> {
  return namingOut(project, () => compileBundle(project.folder, { cache: cacheFolder() }));
}

/** Failures that a wrong name of the folder explains. */
const OF_FOLDER: readonly ErrorCode[] = ["FOLDER_NOT_FOUND", "JOURNAL_MISSING"];

/**
 * Does some work with the folder of a project. Where a flag names a folder without migrations, the error names the folder of
 * the drizzle.config file.
 */
export async function namingOut<Result>(
  { folder, config }: Pick<Project, "folder" | "config">,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    const out = config?.folder ?? null;
    if (!(thrown instanceof MigratorError) || !OF_FOLDER.includes(thrown.code)) throw thrown;
    if (out === null || resolve(out) === resolve(folder)) throw thrown;
    const way = existsSync(out)
      ? "Omit --folder to use that folder."
      : "There is no such folder either.";
    const message = `${thrown.message} ${config?.file} names ${out} as out. ${way}`;
    throw new MigratorError(thrown.code, message, thrown.facts);
  }
}

import type { Warning } from "../errors.ts";

/** An oddity of a folder that makes it no less valid. */
export interface FolderWarning extends Warning {
  /**
   * Tags of the migrations that it is about, where it matters only until they are applied. A database that has all of them
   * is not told of it. Absent: it matters everywhere; also in a bundle of an earlier version.
   */
  readonly settledBy?: readonly string[];
}

/**
 * Returns the warnings that still matter in a database. Pure.
 * @param isApplied whether the database has the migration with this tag. Default: it has none
 */
export function openWarnings(
  warnings: readonly FolderWarning[],
  isApplied: (tag: string) => boolean = () => false,
): readonly Warning[] {
  return warnings
    .filter(({ settledBy }) => settledBy?.every(isApplied) !== true)
    .map(({ code, message }) => ({ code, message }));
}

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
 * @param applied the migrations that the database has
 */
export function openWarnings(
  warnings: readonly FolderWarning[],
  applied: readonly { readonly tag: string }[],
): readonly Warning[] {
  const tags = new Set(applied.map(({ tag }) => tag));
  return warnings
    .filter(({ settledBy }) => settledBy?.every((tag) => tags.has(tag)) !== true)
    .map(({ code, message }) => ({ code, message }));
}
